/**
 * Generation. Keys and values: in each step the one run of the unit that owns a cache appends to exactly its keys and
 * its values and then attends over exactly those bytes; beside it only the beginning of a run touches them. Blocks that
 * exchanged their caches, or shared one, would read nothing undefined and so pass every other check.
 *
 * Logits: the run of a head unit that holds rows [a, b) of the head writes numbers [a, b) of the output, or of what is
 * copied to it.
 */
import { attentionCached } from "../ops/attention-cached.ts";
import { cacheAppend } from "../ops/cache-append.ts";
import { tensorBytes } from "../ops/define-op.ts";
import type { GenerationPlan, Place, PlanCache, PlanCall, PlanOperand, ProgramName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { intersects } from "./intervals.ts";
import type { ArenaRange, PlanIndex, Step } from "./plan-index.ts";
import { weightsFormal } from "./procedure-summary.ts";

type Code = "verify.cache" | "verify.logits";

export const checkGeneration = defineCheck({
  name: "generation",
  proves: "Each block attends over its own keys and values, and each row of the head gives its own logit.",
  codes: ["verify.cache", "verify.logits"],
  run(index, report) {
    const { generation: plan } = index;
    if (!plan) return;
    const owners = new Set(plan.caches.map(({ unit }) => unit));
    if (owners.size < plan.caches.length) report("verify.cache", "caches", "a unit owns two caches");
    plan.caches.forEach((cache, i) => {
      shape(plan, cache, `caches[${i}]`, report);
      for (const program of index.programNames) usedOnce(index, program, cache, `caches[${i}]`, report);
      untouched(index, cache, `caches[${i}]`, report);
    });
    for (const step of index.steps) {
      cachesAreOwned(index, owners, step, report);
      logits(index, plan, step, report);
    }
  },
});

function shape({ generation }: GenerationPlan, cache: PlanCache, path: string, report: Report<Code>): void {
  const [batch, capacity] = cache.shape;
  if (cache.shape.length === 4 && batch === 1 && capacity === generation.capacity) return;
  report("verify.cache", path, `the cache of ${cache.unit} has no room for ${generation.capacity} positions`);
}

/** A run's call with the places of its operands. */
interface Located {
  readonly step: Step;
  readonly call: PlanCall;
  readonly at: (operand: string) => ArenaRange | undefined;
}

function locatedCalls(index: PlanIndex, step: Step): Located[] {
  const { instruction } = step;
  if (instruction.kind !== "run") return [];
  return index.procedure(instruction.procedure).calls.map((call) => ({
    step,
    call,
    at: (name) => {
      const operand = call.operands[name];
      return operand && locate(index, instruction.bind, operand);
    },
  }));
}

function locate(index: PlanIndex, bind: Readonly<Record<string, Place>>, operand: PlanOperand): ArenaRange {
  const { buffer, offset } = bind[operand.formal]!;
  const bytes = tensorBytes(operand.shape, operand.dtype);
  return index.locate({ buffer, offset: offset + operand.offset }, bytes);
}

function rangesOf(index: PlanIndex, { keys, values, shape: dims }: PlanCache) {
  const bytes = tensorBytes(dims, "f32");
  return { keys: index.locate(keys, bytes), values: index.locate(values, bytes) };
}

/** In a step its owner appends keys and values once each, and attends once over both, after that. */
function usedOnce(
  index: PlanIndex,
  program: ProgramName,
  cache: PlanCache,
  path: string,
  report: Report<Code>,
): void {
  const { keys, values } = rangesOf(index, cache);
  const wrong = (text: string) => report("verify.cache", path, `${program}: ${cache.unit} ${text} its cache`);
  const calls = index
    .part(program, "steady")
    .filter(({ instruction }) => instruction.kind === "run" && instruction.unit === cache.unit)
    .flatMap((step) => locatedCalls(index, step));
  const appends = (range: ArenaRange) =>
    calls.flatMap(({ call, at }, position) =>
      call.op === cacheAppend.name && same(at("cache"), range) ? [position] : [],
    );
  const attends = calls.flatMap(({ call, at }, position) =>
    call.op === attentionCached.name && same(at("k"), keys) && same(at("v"), values) ? [position] : [],
  );
  const appended = [...appends(keys), ...appends(values)];
  if (appends(keys).length !== 1 || appends(values).length !== 1) {
    wrong("does not append keys and values once each to");
  } else if (attends.length !== 1) wrong("does not attend once over");
  else if (attends[0]! < Math.max(...appended)) wrong("attends before it appends to");
}

/** Nobody else touches its bytes, but for what a run begins with. */
function untouched(index: PlanIndex, cache: PlanCache, path: string, report: Report<Code>): void {
  const own = Object.values(rangesOf(index, cache));
  for (const { instruction, part } of index.steps) {
    if (instruction.kind === "run" && instruction.unit === cache.unit) continue;
    const { reads, writes } = index.effects(instruction);
    const touched = part === "prologue" ? reads : [...reads, ...writes];
    const hit = touched
      .map((range) => index.locate(range, range.bytes))
      .some((range) => own.some((one) => one.arena === range.arena && intersects(one, range)));
    if (hit) report("verify.cache", path, `${instruction.id} touches the cache of ${cache.unit}`);
  }
}

/** A unit without a cache appends to none and attends over none. */
function cachesAreOwned(
  index: PlanIndex,
  owners: ReadonlySet<string>,
  step: Step,
  report: Report<Code>,
): void {
  const { instruction, path } = step;
  if (instruction.kind !== "run" || (instruction.unit !== null && owners.has(instruction.unit))) return;
  const uses = index
    .procedure(instruction.procedure)
    .calls.some(({ op }) => op === cacheAppend.name || op === attentionCached.name);
  if (uses) report("verify.cache", path, `${instruction.id} uses a cache that the plan does not name`);
}

function logits(index: PlanIndex, plan: GenerationPlan, step: Step, report: Report<Code>): void {
  const { instruction, path } = step;
  if (instruction.kind !== "run" || instruction.unit === null) return;
  const unit = index.unit(instruction.unit);
  if (unit.kind !== "head") return;
  const wrong = (text: string) => report("verify.logits", path, `${instruction.id} ${text}`);
  const begin = beginOfLogits(index, plan, step.program);
  if (!begin) {
    wrong("writes logits that nobody hands on");
    return;
  }
  for (const { call, at } of locatedCalls(index, step)) {
    const weight = Object.entries(call.operands).find(([, { formal }]) => formal === weightsFormal);
    const part = weight && unit.parts.find((one) => one.at <= weight[1].offset);
    const y = at("y");
    if (!weight || !part || !y) {
      wrong("is no product of its part of the head");
      continue;
    }
    const tensor = index.tensor(part.tensor);
    const row = (part.from + weight[1].offset - part.at) / (tensor.bytes / tensor.shape[0]!);
    const rows = weight[1].shape[0]!;
    const expected = {
      arena: begin.arena,
      start: begin.start + tensorBytes([row], "f32"),
      end: begin.start + tensorBytes([row + rows], "f32"),
    };
    if (!same(y, expected)) wrong(`does not write the logits of rows ${row} to ${row + rows}`);
  }
}

/** Where the logits are computed: the output itself, or what a copy of the program takes to it. */
function beginOfLogits(
  index: PlanIndex,
  { step_outputs, units, shape: { compute_arena } }: GenerationPlan,
  program: ProgramName,
): ArenaRange | undefined {
  const output = step_outputs.find(({ name }) => name === "logits");
  const rows = units
    .filter(({ kind }) => kind === "head")
    .flatMap(({ parts }) => parts.map(({ tensor }) => index.tensor(tensor).shape[0]));
  if (!output?.shape || output.dtype !== "f32" || rows.some((count) => count !== output.shape![0])) {
    return undefined;
  }
  const bytes = tensorBytes(output.shape, "f32");
  if (index.buffer(output.at.buffer).arena === compute_arena) return index.locate(output.at, bytes);
  const copies = index.part(program, "steady").flatMap(({ instruction }) => {
    if (instruction.kind !== "copy" || instruction.bytes !== bytes) return [];
    const { to, from } = instruction;
    return to.buffer === output.at.buffer && to.offset === output.at.offset
      ? [index.locate(from, bytes)]
      : [];
  });
  return copies.length === 1 ? copies[0] : undefined;
}

function same(a: ArenaRange | undefined, b: ArenaRange): boolean {
  return a?.arena === b.arena && a.start === b.start && a.end === b.end;
}
