/**
 * Slow, obvious versions of what the verifier computes, written against the meaning of the format and sharing nothing
 * with `schemas/verify`: who touches which bytes, which pairs conflict, and what the waits order. They make mutants
 * honest (a mutant declares what it now does) and decide which mutants are equivalent.
 */
import { tensorBytes } from "../../../schemas/ops/define-op.ts";
import { findOp } from "../../../schemas/ops/index.ts";
import { type AnyPlan, type Instruction, type Plan, programsOf, type Range } from "../../../schemas/plan.ts";
import { estimateId, planId } from "../../../schemas/plan-id.ts";

export const programs = ["train-step", "evaluate", "checkpoint"] as const;
export const parts = ["prologue", "steady", "epilogue"] as const;

export interface Access {
  readonly buffer: string;
  /** In bytes of the buffer. */
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  readonly call: number;
  readonly workspace: boolean;
}

export function accessesOf(plan: AnyPlan, instruction: Instruction): Access[] {
  const access = (range: Range, write: boolean, call = 0, workspace = false): Access => {
    return {
      buffer: range.buffer,
      start: range.offset,
      end: range.offset + range.bytes,
      write,
      call,
      workspace,
    };
  };
  switch (instruction.kind) {
    case "read":
      return [
        ...instruction.segments.map(({ to, bytes }) => access({ ...to, bytes }, true)),
        access(instruction.staging, true, 0, true),
      ];
    case "gather": {
      const bytes = (instruction.indices.bytes / 4) * instruction.row_bytes;
      return [
        access(instruction.indices, false),
        access({ ...instruction.to, bytes }, true),
        access(instruction.staging, true, 0, true),
      ];
    }
    case "copy":
      return [
        access({ ...instruction.from, bytes: instruction.bytes }, false),
        access({ ...instruction.to, bytes: instruction.bytes }, true),
      ];
    case "write":
      return [access(instruction.from, false), access(instruction.staging, true, 0, true)];
    case "run": {
      const procedure = plan.procedures.find(({ id }) => id === instruction.procedure);
      return (procedure?.calls ?? []).flatMap(({ op, operands, workspace }, call) => {
        const at = (formal: string, offset: number, bytes: number): Range => {
          const place = instruction.bind[formal] ?? { buffer: "?", offset: 0 };
          return { buffer: place.buffer, offset: place.offset + offset, bytes };
        };
        const touched = Object.entries(operands).flatMap(
          ([name, { formal, offset, shape, dtype, accumulate }]) => {
            const range = at(formal, offset, tensorBytes(shape, dtype));
            const mode = findOp(op)?.operands[name]?.access ?? "read";
            const reads = mode !== "write" || accumulate ? [access(range, false, call)] : [];
            return mode === "read" ? reads : [...reads, access(range, true, call)];
          },
        );
        if (workspace)
          touched.push(access(at("scratch", workspace.offset, workspace.bytes), true, call, true));
        return touched;
      });
    }
  }
}

/** Reads from outside and writes, byte range by byte range: sorted, merged, by buffer. */
export function declaredEffects(
  plan: AnyPlan,
  instruction: Instruction,
): { reads: Range[]; writes: Range[] } {
  const accesses = accessesOf(plan, instruction).filter(({ start, end }) => start < end);
  const buffers = [...new Set(accesses.map(({ buffer }) => buffer))].sort();
  const collect = (cells: (own: readonly Access[]) => [number, number][]) =>
    buffers.flatMap((buffer) => {
      const ranges: Range[] = [];
      for (const [start, end] of cells(accesses.filter((one) => one.buffer === buffer))) {
        const last = ranges.at(-1);
        if (last && last.offset + last.bytes === start) last.bytes += end - start;
        else ranges.push({ buffer, offset: start, bytes: end - start });
      }
      return ranges;
    });
  const cut = (own: readonly Access[]) => {
    const points = [...new Set(own.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
    return points.slice(1).map((end, i): [number, number] => [points[i]!, end]);
  };
  const over = (own: readonly Access[], [start, end]: [number, number]) =>
    own.filter((one) => one.start <= start && end <= one.end);
  return {
    reads: collect((own) =>
      cut(own).filter((cell) => {
        const touching = over(own, cell);
        const firstWrite = Math.min(...touching.filter(({ write }) => write).map(({ call }) => call));
        // Within one call reads come first. A workspace leaves nothing behind, so reading on is reading from outside.
        return touching.some(({ write, call }) => {
          const before = touching.filter((other) => other.write && other.call < call);
          return !write && (call <= firstWrite || before.at(-1)?.workspace === true);
        });
      }),
    ),
    writes: collect((own) => cut(own).filter((cell) => over(own, cell).some(({ write }) => write))),
  };
}

/** Pairs of one part on different lanes that conflict and that the waits do not keep in serial order. */
export function unorderedPairs(plan: AnyPlan, instructions: readonly Instruction[]): string[] {
  const absolute = instructions.map((instruction) =>
    accessesOf(plan, instruction).map((one) => {
      const buffer = plan.buffers.find(({ id }) => id === one.buffer);
      const base = buffer?.offset ?? 0;
      return { ...one, arena: buffer?.arena, start: base + one.start, end: base + one.end };
    }),
  );
  const ended = new Map<string, ReadonlySet<string>>();
  const latest = new Map<string, ReadonlySet<string>>();
  const pairs: string[] = [];
  instructions.forEach((later, j) => {
    const startedAfter = (call: number) =>
      new Set([
        ...(latest.get(later.lane) ?? []),
        ...later.waits.filter(({ at }) => at <= call).flatMap(({ on }) => [...(ended.get(on) ?? [])]),
      ]);
    for (let i = 0; i < j; i++) {
      const earlier = instructions[i]!;
      if (earlier.lane === later.lane) continue;
      const calls = absolute[j]!.filter((b) =>
        absolute[i]!.some(
          (a) => a.arena === b.arena && (a.write || b.write) && a.start < b.end && b.start < a.end,
        ),
      ).map(({ call }) => call);
      if (calls.length > 0 && !startedAfter(Math.min(...calls)).has(earlier.id)) {
        pairs.push(`${earlier.id} → ${later.id}`);
      }
    }
    const done = new Set([...startedAfter(Number.POSITIVE_INFINITY), later.id]);
    ended.set(later.id, done);
    latest.set(later.lane, done);
  });
  return pairs;
}

export function allUnorderedPairs(plan: AnyPlan): string[] {
  return Object.values(programsOf(plan)).flatMap((program) =>
    parts.flatMap((part) => unorderedPairs(plan, program[part])),
  );
}

/** Makes a mutant say truthfully what it now is: effects, moved bytes, gaps, peaks and ids. */
export function redeclare(plan: AnyPlan): void {
  for (const program of Object.values(programsOf(plan))) {
    for (const part of parts) {
      for (const instruction of program[part]) {
        Object.assign(instruction, declaredEffects(plan, instruction));
      }
    }
  }
  for (const bound of plan.bounds) {
    bound.moved = programsOf(plan)
      [bound.program]!.steady.filter(({ lane }) => lane === bound.link)
      .reduce((sum, { bytes }) => sum + bytes, 0);
    bound.gap_ppm = Math.max(0, Math.floor(((bound.moved - bound.bound) * 1e6) / Math.max(bound.bound, 1)));
  }
  for (const arena of ["ram", "vram"] as const) {
    const budget = plan.budgets[arena];
    if (budget) budget.max_live = peak(plan, arena);
  }
  seal(plan);
}

function peak(plan: AnyPlan, arena: "ram" | "vram"): number {
  const own = plan.buffers.filter((buffer) => buffer.arena === arena);
  const liveAt = (program: string, position: number) =>
    own
      .filter(
        ({ lifetime }) =>
          !lifetime ||
          (lifetime.program === program && lifetime.start <= position && position < lifetime.end),
      )
      .reduce((sum, { bytes }) => sum + bytes, 0);
  const starts = own.flatMap(({ lifetime }) => (lifetime ? [liveAt(lifetime.program, lifetime.start)] : []));
  return Math.max(liveAt("", 0), ...starts);
}

export function seal(plan: AnyPlan): void {
  plan.plan_id = planId(plan);
  plan.estimate_id = estimateId(plan);
}

type Within = Plan["residency"][number]["part"];

/**
 * Whether every run finds its unit's weights and every steady part starts and ends with the residents, by keeping for
 * each byte of the arenas which byte of which tensor it is. Other instructions are taken not to disturb slots.
 */
export function weightsInPlace(plan: Plan): boolean {
  const bytes = { ram: new Map<number, string>(), vram: new Map<number, string>() };
  const cell = (place: { buffer: string; offset: number }) => {
    const buffer = plan.buffers.find(({ id }) => id === place.buffer)!;
    return { memory: bytes[buffer.arena], start: buffer.offset + place.offset };
  };
  const holds = (place: { buffer: string; offset: number }, unitId: string, within?: Within) => {
    const { memory, start: first } = cell(place);
    const { parts: all } = plan.units.find(({ id }) => id === unitId)!;
    const start = first - (within?.from ?? 0);
    const own = all.filter(({ at }) => !within || (within.from <= at && at < within.from + within.bytes));
    return own.every((part) =>
      Array.from({ length: part.bytes }).every(
        (_, i) => memory.get(start + part.at + i) === `${part.tensor}+${part.from + i}`,
      ),
    );
  };
  const execute = (instructions: readonly Instruction[]) =>
    instructions.every((instruction) => {
      if (instruction.kind === "run") {
        return instruction.unit === null || holds(instruction.bind.weights!, instruction.unit);
      }
      if (instruction.kind === "read") {
        for (const { to, bytes: length, tensor, from } of instruction.segments) {
          const { memory, start } = cell(to);
          for (let i = 0; i < length; i++) memory.set(start + i, `${tensor}+${from + i}`);
        }
      }
      if (instruction.kind === "copy" && instruction.unit !== null) {
        const [from, to] = [cell(instruction.from), cell(instruction.to)];
        for (let i = 0; i < instruction.bytes; i++) {
          to.memory.set(to.start + i, from.memory.get(from.start + i) ?? "");
        }
      }
      return true;
    });
  const atRest = () =>
    plan.residency.every(({ buffer, unit, part }) => holds({ buffer, offset: 0 }, unit, part));
  const { "train-step": train, evaluate } = plan.programs;
  return [train.prologue, train.steady, train.steady, evaluate.steady, train.steady].every(
    (instructions) => execute(instructions) && atRest(),
  );
}
