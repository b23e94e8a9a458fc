/**
 * The life of a gradient within one step, followed call by call over the bytes that `parameters` names and their
 * replicas: zeroed once, added to once per micro-batch by the backward of its unit, perhaps copied when complete,
 * measured once by a square sum, applied once by an adamw whose clip and skip come from the grad_norm over exactly
 * those sums. Parameters and moments change nowhere else, and no call reads a parameter after its update.
 */
import { adamw } from "../ops/adamw.ts";
import { fill } from "../ops/fill.ts";
import { gradNorm } from "../ops/grad-norm.ts";
import { squareSum } from "../ops/square-sum.ts";
import type { Place, PlanCall, PlanParameter, Range } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { mergeIntervals, totalBytes } from "./intervals.ts";
import { type AnyParameter, f32Bytes, type ParameterBytes, type ParameterMap } from "./parameter-map.ts";
import type { PlanIndex, Step } from "./plan-index.ts";
import type { CallAccess } from "./procedure-summary.ts";

interface Operand extends Range {
  readonly reads: boolean;
  readonly writes: boolean;
}

/** A call, or a copy (`call` is null), and where its operands are; they are numbered through the step. */
interface LocatedCall {
  readonly ordinal: number;
  readonly step: Step;
  readonly call: PlanCall | null;
  readonly accesses: readonly CallAccess[];
  readonly bind: Readonly<Record<string, Place>>;
}

/** One operand of one call that touches a parameter's gradient or value. */
interface Event {
  readonly located: LocatedCall;
  readonly operand: string;
  readonly range: Operand;
  /** The touched bytes of the parameter, in the same buffer. */
  readonly own: ParameterBytes;
}

export const checkOptimizer = defineCheck({
  name: "optimizer",
  proves:
    "Every gradient is zeroed, accumulated, measured and applied exactly once per step; nothing else changes a parameter.",
  codes: ["verify.optimizer"],
  run(index, report) {
    const { training, owners } = index;
    frozenElsewhere(index, owners, report);
    if (!training) return;
    const calls = locateCalls(index);
    const norms = calls.filter(({ call }) => call?.op === gradNorm.name);
    const norm = norms[0];
    if (!norm || norms.length > 1) {
      report(
        "verify.optimizer",
        "programs.train-step.steady",
        `a step has ${norms.length} global norms, not 1`,
      );
      return;
    }
    everySumCounts(calls, norm, report);
    const events = eventsByParameter(calls, owners);
    training.parameters.forEach((parameter, i) => {
      const wrong = (text: string) =>
        report("verify.optimizer", `parameters[${i}]`, `${parameter.name}: ${text}`);
      const added = followGradient(parameter, events.get(parameter) ?? [], norm, wrong);
      const { micro_batches } = index.plan.shape;
      if (added !== micro_batches) wrong(`${added} micro-batches are added, not ${micro_batches}`);
    });
  },
});

/** Calls that touch a buffer with bytes of a parameter, and those that measure the norm; the others tell nothing. */
function locateCalls(index: PlanIndex): LocatedCall[] {
  const { owners } = index;
  const located: LocatedCall[] = [];
  /** By procedure and the formals that are bound to such buffers. */
  const tellingCalls = new Map<string, readonly number[]>();
  for (const step of index.part("train-step", "steady")) {
    const { instruction } = step;
    if (instruction.kind === "copy" && instruction.unit === null) {
      const { from, to, bytes } = instruction;
      const whole = { start: 0, end: bytes, dtype: null };
      const accesses = [
        { ...whole, name: "from", formal: "from", reads: true, writes: false },
        { ...whole, name: "to", formal: "to", reads: false, writes: true },
      ];
      located.push({ ordinal: located.length, step, call: null, accesses, bind: { from, to } });
    }
    if (instruction.kind !== "run") continue;
    const procedure = index.procedure(instruction.procedure);
    const { calls } = index.summary(procedure);
    const { bind } = instruction;
    const known = Object.keys(bind).filter((formal) => owners.knows(bind[formal]!.buffer));
    const key = `${procedure.id} ${known.join(" ")}`;
    let telling = tellingCalls.get(key);
    if (!telling) {
      telling = [...procedure.calls.keys()].filter((i) => {
        const { op } = procedure.calls[i]!;
        const measures = op === gradNorm.name || op === squareSum.name;
        return measures || calls[i]!.some(({ formal }) => known.includes(formal));
      });
      tellingCalls.set(key, telling);
    }
    for (const i of telling) {
      const call = procedure.calls[i]!;
      located.push({ ordinal: located.length, step, call, accesses: calls[i]!, bind });
    }
  }
  return located;
}

function operandOf({ bind }: LocatedCall, { formal, start, end, reads, writes }: CallAccess): Operand {
  const { buffer, offset } = bind[formal]!;
  return { buffer, offset: offset + start, bytes: end - start, reads, writes };
}

function operandNamed(located: LocatedCall, name: string): Operand | undefined {
  const access = located.accesses.find((one) => one.name === name);
  return access && operandOf(located, access);
}

function eventsByParameter(calls: readonly LocatedCall[], owners: ParameterMap): Map<AnyParameter, Event[]> {
  const events = new Map<AnyParameter, Event[]>();
  for (const located of calls) {
    const { accesses } = located;
    for (let i = 0; i < accesses.length; i++) {
      const access = accesses[i]!;
      // Few calls touch a parameter: the others are not even located.
      if (!owners.knows(located.bind[access.formal]!.buffer)) continue;
      const range = operandOf(located, access);
      for (const own of owners.within(range.buffer, range.offset, range.offset + range.bytes)) {
        const list = events.get(own.parameter) ?? [];
        events.set(own.parameter, list);
        list.push({ located, operand: access.name, range, own });
      }
    }
  }
  return events;
}

/** The norm adds up f64 sums that square sums of this step wrote, all of them and each once. */
function everySumCounts(
  calls: readonly LocatedCall[],
  norm: LocatedCall,
  report: Report<"verify.optimizer">,
): void {
  const squares = operandNamed(norm, "squares");
  const sums = calls.filter(({ call }) => call?.op === squareSum.name);
  const counted = sums.flatMap((sum) => {
    const y = operandNamed(sum, "y");
    return squares && y && sum.ordinal < norm.ordinal && within(squares, y)
      ? [{ start: y.offset, end: y.offset + y.bytes }]
      : [];
  });
  const covered = totalBytes(mergeIntervals(counted));
  if (counted.length !== sums.length || covered !== totalBytes(counted) || covered !== squares?.bytes) {
    report("verify.optimizer", norm.step.path, "the global norm does not count each sum of squares once");
  }
}

/** Walks one parameter's events; returns how often its whole gradient was added to. */
function followGradient(
  parameter: PlanParameter,
  events: readonly Event[],
  norm: LocatedCall,
  wrong: (text: string) => void,
): number {
  let stage: "stale" | "summing" | "measured" | "applied" = "stale";
  let added = 0;
  // The buffers in which the gradient stands: where it was zeroed, then also where it was copied.
  const holders = new Set<string>();
  for (const { located, operand, range, own } of events) {
    const { call, step, ordinal } = located;
    const { instruction } = step;
    const { buffer } = range;
    const whole = range.offset <= own.start && own.end <= range.offset + range.bytes;
    if (own.key === "value") {
      const reads = call !== null && call.op !== adamw.name;
      if (stage === "applied" && reads) wrong(`${instruction.id} reads it after its update`);
    } else if (own.key !== "gradient") {
      if (call?.op !== adamw.name) wrong(`${instruction.id} touches a moment`);
    } else if (call === null) {
      const taken = operand === "from" ? holders.has(buffer) : stage === "summing" && !holders.has(buffer);
      if (!whole || !taken)
        wrong(`${instruction.id} does not copy its gradient once, when it is zeroed and summed`);
      holders.add(buffer);
    } else if (call.op === fill.name) {
      const zeroes = whole && call.attributes.value === 0;
      if (stage !== "stale" || !zeroes) wrong(`${instruction.id} does not zero its gradient once`);
      stage = "summing";
      holders.add(buffer);
    } else if (range.writes) {
      const summing = stage === "summing" && holders.has(buffer) && holders.size === 1;
      if (!summing || !range.reads) wrong(`${instruction.id} does not add to a zeroed gradient`);
      if (instruction.kind === "run" && instruction.unit !== parameter.unit) {
        wrong(`${instruction.id} adds to the gradient of ${parameter.unit}`);
      }
      if (whole && range.bytes === own.end - own.start) added++;
      else wrong(`${instruction.id} adds to a piece of its gradient`);
    } else if (call.op === squareSum.name) {
      const complete = stage === "summing" && holders.has(buffer) && whole;
      if (!complete) wrong(`${instruction.id} does not measure its gradient once, when it is complete`);
      stage = "measured";
    } else if (call.op === adamw.name && operand === "grad") {
      if (stage !== "measured" || ordinal < norm.ordinal)
        wrong(`${instruction.id} comes before the global norm`);
      if (!holders.has(buffer) || !appliesTo(parameter, own, located)) {
        wrong(`${instruction.id} does not apply its gradient to it`);
      }
      if (!sameRange(operandNamed(located, "clip"), operandNamed(norm, "clip")))
        wrong(`${instruction.id} takes another clip`);
      if (!sameRange(operandNamed(located, "skip"), operandNamed(norm, "skip")))
        wrong(`${instruction.id} takes another skip`);
      stage = "applied";
    } else {
      wrong(`${instruction.id} reads its gradient`);
    }
  }
  if (stage !== "applied") wrong(`its gradient is left ${stage}`);
  return added;
}

/** The update's operands lie over value, gradient and moments at the same distance from each. */
function appliesTo(parameter: PlanParameter, gradient: ParameterBytes, update: LocatedCall): boolean {
  const bytes = f32Bytes(parameter.shape);
  const distance = (operand: string, place: { buffer: string; offset: number }) => {
    const range = operandNamed(update, operand);
    return range && within(range, { ...place, bytes }) ? place.offset - range.offset : undefined;
  };
  const first = distance("param", parameter.value);
  return (
    first !== undefined &&
    gradient.start - operandNamed(update, "grad")!.offset === first &&
    distance("first_moment", parameter.first_moment) === first &&
    distance("second_moment", parameter.second_moment) === first
  );
}

/** Only adamw in the train step writes parameters and moments. */
function frozenElsewhere(index: PlanIndex, owners: ParameterMap, report: Report<"verify.optimizer">): void {
  for (const { instruction, path, program, part } of index.steps) {
    const updates =
      program === "train-step" &&
      part === "steady" &&
      instruction.kind === "run" &&
      index.procedure(instruction.procedure).calls.every(({ op }) => op === adamw.name);
    if (updates) continue;
    for (const { buffer, offset, bytes } of index.effects(instruction).writes) {
      const hit = owners
        .within(buffer, offset, offset + bytes)
        .find((own) => own.key !== "gradient" && !own.replica);
      if (hit)
        report("verify.optimizer", path, `${instruction.id} writes ${hit.parameter.name} or its moments`);
    }
  }
}

function within(outer: Range, inner: Range): boolean {
  return (
    outer.buffer === inner.buffer &&
    outer.offset <= inner.offset &&
    inner.offset + inner.bytes <= outer.offset + outer.bytes
  );
}

function sameRange(a: Range | undefined, b: Range | undefined): boolean {
  return a !== undefined && b !== undefined && a.bytes === b.bytes && within(a, b);
}
