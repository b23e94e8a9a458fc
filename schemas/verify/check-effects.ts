/**
 * Instructions say what they do: declared effects and bytes are those of their work, bindings keep formals apart and
 * aligned, and disk instructions name the bytes of the file that they claim to.
 */
import type { Instruction, Range } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { intersects } from "./intervals.ts";
import { largestPagedRow } from "./paged-row.ts";
import type { PlanIndex, Step } from "./plan-index.ts";

export const checkEffects = defineCheck({
  name: "effects",
  proves: "Declared reads, writes and bytes are exactly those of the instruction's work.",
  codes: ["verify.effects", "verify.bytes"],
  run(index, report) {
    for (const { instruction, path } of index.steps) {
      const expected = index.effects(instruction);
      for (const key of ["reads", "writes"] as const) {
        if (!sameRanges(instruction[key], expected[key])) {
          report(
            "verify.effects",
            `${path}.${key}`,
            `${instruction.id} does not declare what it ${key}`,
            `expected ${printRanges(expected[key])}, found ${printRanges(instruction[key])}`,
          );
        }
      }
      const wrong = wrongBytes(instruction);
      if (wrong) report("verify.bytes", `${path}.bytes`, `${instruction.id} moves ${wrong}`);
    }
  },
});

function sameRanges(declared: readonly Range[], expected: readonly Range[]): boolean {
  return (
    declared.length === expected.length &&
    declared.every((range, i) => {
      const other = expected[i]!;
      return range.buffer === other.buffer && range.offset === other.offset && range.bytes === other.bytes;
    })
  );
}

function printRanges(ranges: readonly Range[]): string {
  return (
    ranges.map(({ buffer, offset, bytes }) => `${buffer}[${offset}, ${offset + bytes})`).join(" ") ||
    "nothing"
  );
}

/** What an instruction moves instead of its declared bytes, in words; nothing when they agree. */
function wrongBytes(instruction: Instruction): string | undefined {
  const { bytes } = instruction;
  switch (instruction.kind) {
    case "read": {
      const sum = instruction.segments.reduce((total, segment) => total + segment.bytes, 0);
      return sum === bytes ? undefined : `${sum} bytes, not ${bytes}`;
    }
    case "gather": {
      const rows = instruction.indices.bytes / 4;
      const exact = rows * instruction.row_bytes;
      const pages = rows * largestPagedRow(instruction);
      return bytes === exact || bytes === pages
        ? undefined
        : `${exact} bytes, or ${pages} in whole pages, not ${bytes}`;
    }
    case "copy":
      return bytes > 0 ? undefined : "nothing";
    case "write":
      return instruction.from.bytes === bytes ? undefined : `${instruction.from.bytes} bytes, not ${bytes}`;
    case "run":
      return bytes === 0 ? undefined : `nothing over a link, not ${bytes} bytes`;
  }
}

export const checkBindings = defineCheck({
  name: "bindings",
  proves: "The formals of a run are bound to aligned places that share no written byte.",
  codes: ["verify.binding", "verify.alignment"],
  run(index, report) {
    for (const step of index.steps) bindings(index, step, report);
  },
});

function bindings(
  index: PlanIndex,
  { instruction, path }: Step,
  report: Report<"verify.binding" | "verify.alignment">,
): void {
  if (instruction.kind !== "run") return;
  const procedure = index.procedure(instruction.procedure);
  const { alignment } = index.summary(procedure);
  const bound = procedure.formals.map(({ name, bytes, access }) => ({
    name,
    written: access !== "read",
    ...index.locate(instruction.bind[name]!, bytes),
  }));
  for (const { name, start } of bound) {
    const unit = alignment.get(name) ?? 1;
    if (start % unit !== 0) {
      report(
        "verify.alignment",
        path,
        `${instruction.id}: ${name} is at ${start}, not a multiple of ${unit}`,
      );
    }
  }
  bound.forEach((a, i) => {
    for (const b of bound.slice(i + 1)) {
      if (a.arena === b.arena && (a.written || b.written) && intersects(a, b)) {
        report("verify.binding", path, `${instruction.id}: ${a.name} and ${b.name} share bytes`);
      }
    }
  });
}

export const checkFileRanges = defineCheck({
  name: "file ranges",
  proves: "Reads take from each file exactly the bytes of the tensor that they name.",
  codes: ["verify.file-range", "verify.contents"],
  run(index, report) {
    for (const { instruction, path } of index.steps) {
      if (instruction.kind === "gather") {
        const tensor = index.tensor(instruction.tensor);
        const table = instruction.row_bytes * instruction.table_rows;
        const { file, offset } = instruction;
        if (file !== tensor.file || offset !== tensor.offset || table !== tensor.bytes) {
          report(
            "verify.file-range",
            path,
            `${instruction.id} does not gather from the bytes of ${tensor.name}`,
          );
        }
        if (instruction.row_bytes * tensor.shape[0]! !== tensor.bytes) {
          report("verify.file-range", path, `${instruction.id}: a row of ${tensor.name} has another size`);
        }
      }
      if (instruction.kind !== "read") continue;
      const parts = index.unit(instruction.unit).parts;
      // A place that only part of the unit passes through begins with that part.
      const shifts = new Set<number>();
      instruction.segments.forEach(({ file, offset, bytes, tensor: name, from, to }, i) => {
        const tensor = index.tensor(name);
        if (file !== tensor.file || offset !== tensor.offset + from || from + bytes > tensor.bytes) {
          report(
            "verify.file-range",
            `${path}.segments[${i}]`,
            `${instruction.id} does not read the bytes of ${name}`,
          );
        }
        const part = parts.find(
          (one) => one.tensor === name && one.from <= from && from + bytes <= one.from + one.bytes,
        );
        if (part) shifts.add(to.offset - part.at - (from - part.from));
        if (!part || shifts.size > 1) {
          report(
            "verify.contents",
            `${path}.segments[${i}]`,
            `${instruction.id} puts ${name} where ${instruction.unit} does not keep it`,
          );
        }
      });
    }
  },
});
