/**
 * What the runtime reads and writes itself, and what a plan keeps for it: parameters and moments, constants, step inputs,
 * caches, and checkpoint files. It
 * lies inside buffers that live as long as it is needed, nothing overlaps, and no instruction overwrites an input.
 */
import { tensorBytes } from "../ops/define-op.ts";
import type { ArenaName, Place, Plan, PlanSink } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { type Interval, intersects, mergeIntervals, overlappingPairs, totalBytes } from "./intervals.ts";
import { f32Bytes, parameterPlaces } from "./parameter-map.ts";
import type { ArenaRange, PlanIndex } from "./plan-index.ts";

interface Item {
  readonly name: string;
  readonly path: string;
  readonly at: Place;
  readonly bytes: number;
  /** Must outlive every program. */
  readonly permanent: boolean;
}

export const checkState = defineCheck({
  name: "state",
  proves: "Parameters, constants, inputs and outputs lie apart in buffers that live long enough.",
  codes: ["verify.state"],
  run(index, report) {
    const items = itemsOf(index);
    for (const { name, path, at, bytes, permanent } of items) {
      const buffer = index.buffer(at.buffer);
      if (at.offset + bytes > buffer.bytes)
        report("verify.state", path, `${name} reaches beyond ${buffer.id}`);
      if (at.offset % 4 !== 0) report("verify.state", path, `${name} is not aligned`);
      if (permanent && buffer.lifetime) report("verify.state", path, `${name} does not outlive its program`);
    }
    const placed: Record<ArenaName, (Interval & { readonly item: Item })[]> = { ram: [], vram: [] };
    for (const item of items) {
      if (!item.permanent) continue;
      const { arena, start, end } = index.locate(item.at, item.bytes);
      placed[arena].push({ start, end, item });
    }
    for (const arena of ["ram", "vram"] as const) {
      for (const [{ item: a }, { item: b }] of overlappingPairs(placed[arena])) {
        report("verify.state", b.path, `${b.name} shares bytes with ${a.name}`);
      }
    }
    inputsAreKept(index, report);
  },
});

function itemsOf(index: PlanIndex): Item[] {
  const { parameters, step_outputs } = index.plan;
  return [
    ...parameters.flatMap((parameter, i) =>
      parameterPlaces(parameter).map(([key, at]) => ({
        name: `${key} of ${parameter.name}`,
        path: `parameters[${i}].${key}`,
        at,
        bytes: f32Bytes(parameter.shape),
        permanent: key !== "gradient",
      })),
    ),
    ...(index.generation?.caches ?? []).flatMap(({ unit, keys, values, shape }, i) =>
      Object.entries({ keys, values }).map(([name, at]) => ({
        name: `${name} of ${unit}`,
        path: `caches[${i}].${name}`,
        at,
        bytes: tensorBytes(shape, "f32"),
        permanent: true,
      })),
    ),
    ...index.constants.map((constant, i) => ({ ...constant, path: `constants[${i}]`, permanent: true })),
    ...index.stepInputs.map((input, i) => ({ ...input, path: `step_inputs[${i}]`, permanent: true })),
    ...step_outputs.map(({ name, dtype, shape, at }, i) => ({
      name,
      path: `step_outputs[${i}]`,
      at,
      bytes: tensorBytes(shape ?? [1], dtype),
      permanent: false,
    })),
  ];
}

function inputsAreKept(index: PlanIndex, report: Report<"verify.state">): void {
  const inputs = [...index.constants, ...index.stepInputs].map(({ name, at, bytes }) => ({
    name,
    ...index.locate(at, bytes),
  }));
  for (const { instruction, path } of index.steps) {
    const written: ArenaRange[] = index
      .effects(instruction)
      .writes.map((range) => index.locate(range, range.bytes));
    for (const range of written) {
      const hit = inputs.find((input) => input.arena === range.arena && intersects(input, range));
      if (hit) report("verify.state", path, `${instruction.id} overwrites ${hit.name}`);
    }
  }
}

export const checkSinks = defineCheck({
  name: "sinks",
  proves: "Every byte of every checkpoint file is described once and written once by the checkpoint program.",
  codes: ["verify.sink"],
  run(index, report) {
    const { training } = index;
    training?.sinks.forEach((sink, i) => {
      sinkTensors(sink, `sinks[${i}]`, report);
      const written = index
        .part("checkpoint", "steady")
        .flatMap(({ instruction, path }) =>
          instruction.kind === "write" && instruction.sink === sink.id
            ? [{ start: instruction.offset, end: instruction.offset + instruction.from.bytes, path }]
            : [],
        );
      sinkSources(index, training, sink, `sinks[${i}]`, report);
      exactly(written, sink.bytes, (text) =>
        report("verify.sink", `sinks[${i}]`, `${sink.id} is ${text} by its writes`),
      );
    });
    for (const { instruction, program, part, path } of index.steps) {
      if (instruction.kind === "write" && !(program === "checkpoint" && part === "steady")) {
        report("verify.sink", path, `${instruction.id} writes a file outside the checkpoint`);
      }
    }
  },
});

function sinkTensors(sink: PlanSink, path: string, report: Report<"verify.sink">): void {
  for (const { name, shape, dtype, bytes } of sink.tensors) {
    if (tensorBytes(shape, dtype) !== bytes)
      report("verify.sink", path, `${name} in ${sink.id} has the wrong size`);
  }
  const tensors = sink.tensors.map(({ offset, bytes }) => ({ start: offset, end: offset + bytes }));
  exactly(tensors, sink.bytes, (text) => report("verify.sink", path, `${sink.id} is ${text} by its tensors`));
}

/**
 * Each tensor of a file is written from where its parameter is. A value is called like its parameter; a moment has
 * `.first_moment` or `.second_moment` appended.
 */
function sinkSources(
  index: PlanIndex,
  training: Plan,
  sink: PlanSink,
  path: string,
  report: Report<"verify.sink">,
): void {
  const places = new Map<string, Place>();
  for (const parameter of training.parameters) {
    places.set(parameter.name, parameter.value);
    for (const key of ["first_moment", "second_moment"] as const) {
      places.set(`${parameter.name}.${key}`, parameter[key]);
    }
  }
  const writes = index
    .part("checkpoint", "steady")
    .flatMap(({ instruction }) =>
      instruction.kind === "write" && instruction.sink === sink.id ? [instruction] : [],
    );
  for (const { name, offset, bytes } of sink.tensors) {
    const write = writes.find((one) => one.offset <= offset && offset + bytes <= one.offset + one.from.bytes);
    const expected = places.get(name);
    const found = write && { buffer: write.from.buffer, offset: write.from.offset + offset - write.offset };
    if (!expected || found?.buffer !== expected.buffer || found.offset !== expected.offset) {
      report("verify.sink", path, `${name} in ${sink.id} is not written from where it is`);
    }
  }
}

/** Says so when the intervals do not tile [0, bytes). */
function exactly(
  intervals: readonly { start: number; end: number }[],
  bytes: number,
  wrong: (text: string) => void,
): void {
  const merged = mergeIntervals(intervals);
  if (overlappingPairs(intervals).length > 0) wrong("covered twice");
  else if (totalBytes(merged) !== bytes || (merged.at(-1)?.end ?? 0) !== bytes)
    wrong("not covered completely");
}
