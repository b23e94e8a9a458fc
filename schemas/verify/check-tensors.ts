/**
 * Weights: where each tensor lies in its file, and how the units cut the tensors into what moves together. Every byte
 * of every weight belongs to exactly one unit. A head tied to the embedding is covered by the head's units.
 */
import { tensorBytes } from "../ops/define-op.ts";
import type { AnyPlan, PlanTensor, PlanUnit } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { type Interval, mergeIntervals, overlappingPairs, totalBytes } from "./intervals.ts";
import type { PlanIndex } from "./plan-index.ts";

export const checkTensors = defineCheck({
  name: "tensors",
  proves: "Tensors lie side by side inside their files, and their bytes match their shapes.",
  codes: ["verify.tensor"],
  run({ plan }, report) {
    const sizes = new Map(plan.inputs.files.map(({ id, bytes }) => [id, bytes]));
    plan.tensors.forEach((tensor, i) => {
      const wrong = (text: string) => report("verify.tensor", `tensors[${i}]`, `${tensor.name}: ${text}`);
      const bytes = tensorBytes(tensor.shape, tensor.storage);
      if (bytes !== tensor.bytes) wrong(`${tensor.bytes} bytes declared, ${bytes} by its shape`);
      if (tensor.offset + tensor.bytes > (sizes.get(tensor.file) ?? 0))
        wrong(`reaches beyond ${tensor.file}`);
    });
    for (const file of sizes.keys()) {
      const inFile = plan.tensors.flatMap((tensor, i) =>
        tensor.file === file
          ? [{ start: tensor.offset, end: tensor.offset + tensor.bytes, name: tensor.name, i }]
          : [],
      );
      for (const [a, b] of overlappingPairs(inFile)) {
        report("verify.tensor", `tensors[${b.i}]`, `${b.name} overlaps ${a.name} in ${file}`);
      }
    }
  },
});

export const checkUnits = defineCheck({
  name: "units",
  proves: "The units of each kind hold every weight of that role exactly once, side by side in their slots.",
  codes: ["verify.unit"],
  run(index, report) {
    const { plan } = index;
    plan.units.forEach((unit, i) => {
      parts(index, unit, `units[${i}]`, report);
    });
    const holders = holdersOf(plan);
    plan.tensors.forEach((tensor, i) => {
      coverage(plan, holders, tensor, `tensors[${i}]`, report);
    });
  },
});

function parts(index: PlanIndex, unit: PlanUnit, path: string, report: Report<"verify.unit">): void {
  unit.parts.forEach((part, j) => {
    const wrong = (text: string) => report("verify.unit", `${path}.parts[${j}]`, `${unit.id}: ${text}`);
    const tensor = index.tensor(part.tensor);
    if (part.bytes === 0) wrong(`no byte of ${part.tensor}`);
    if (part.from + part.bytes > tensor.bytes) wrong(`reaches beyond ${part.tensor}`);
    if (part.at + part.bytes > unit.bytes) wrong(`${part.tensor} reaches beyond the unit`);
    if (!rolesOf(index.plan, unit.kind).includes(tensor.role))
      wrong(`${part.tensor} is of the ${tensor.role}`);
  });
  const placed = unit.parts.map(({ at, bytes, tensor }) => ({ start: at, end: at + bytes, tensor }));
  for (const [a, b] of overlappingPairs(placed)) {
    report("verify.unit", path, `${unit.id}: ${a.tensor} and ${b.tensor} share bytes of the slot`);
  }
}

/** A model without a head tensor is tied: its head reads the embedding. Likewise without an embedding tensor. */
function rolesOf(plan: AnyPlan, kind: PlanUnit["kind"]): PlanTensor["role"][] {
  if (plan.tensors.some(({ role }) => role === kind)) return [kind];
  if (kind === "head") return ["embedding"];
  return [kind === "embedding" ? "head" : kind];
}

interface Held extends Interval {
  readonly unit: string;
}

/** Which bytes of each tensor the units of a kind hold, under `kind tensor`. */
function holdersOf(plan: AnyPlan): ReadonlyMap<string, readonly Held[]> {
  const holders = new Map<string, Held[]>();
  for (const { id: unit, kind, parts } of plan.units) {
    for (const { tensor, from, bytes } of parts) {
      const key = holderKey(kind, tensor);
      const held = { start: from, end: from + bytes, unit };
      const others = holders.get(key);
      if (others) others.push(held);
      else holders.set(key, [held]);
    }
  }
  return holders;
}

function holderKey(kind: PlanUnit["kind"], tensor: string): string {
  return `${kind} ${tensor}`;
}

function coverage(
  plan: AnyPlan,
  holders: ReadonlyMap<string, readonly Held[]>,
  tensor: PlanTensor,
  path: string,
  report: Report<"verify.unit">,
): void {
  for (const kind of ["block", "norm", "head", "embedding"] as const) {
    if (!rolesOf(plan, kind).includes(tensor.role)) continue;
    const taken = holders.get(holderKey(kind, tensor.name)) ?? [];
    // The embedding is gathered row by row unless a unit makes it resident.
    if (kind === "embedding" && taken.length === 0) continue;
    for (const [a, b] of overlappingPairs(taken)) {
      report("verify.unit", path, `${tensor.name}: ${a.unit} and ${b.unit} hold the same bytes`);
    }
    const covered = totalBytes(mergeIntervals(taken));
    if (covered < tensor.bytes) {
      report(
        "verify.unit",
        path,
        `${tensor.name}: ${kind} units hold ${covered} of its ${tensor.bytes} bytes`,
      );
    }
  }
}
