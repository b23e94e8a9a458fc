/**
 * What the operands of a run's calls take from memory: tensors as they were written, whole rows of weights, and a
 * unit's own parameters. A byte-wise check alone would let an operand slip by a few bytes into its neighbour.
 */
import { crossEntropyTile } from "../ops/cross-entropy-tile.ts";
import { tensorBytes } from "../ops/define-op.ts";
import type { embedding } from "../ops/embedding.ts";
import type { Instruction, PlanCall, PlanOperand, PlanUnit } from "../plan.ts";
import { covers, type Interval } from "./intervals.ts";
import type { Memory } from "./memory.ts";
import type { ParameterMap } from "./parameter-map.ts";
import type { ArenaRange, PlanIndex, Step } from "./plan-index.ts";
import { weightsFormal } from "./procedure-summary.ts";

/**
 * Operands from outside take one value or a part of it, or several values whole; a unit takes its parameters whole.
 * Step inputs are called like the operands that read them, so no operand takes another's. `memory` is that before the
 * run.
 */
export function importFaults(index: PlanIndex, memory: Memory, owners: ParameterMap, step: Step): string[] {
  const { instruction } = step;
  if (instruction.kind === "gather") return gatherFaults(index, memory, instruction);
  if (instruction.kind !== "run") return [];
  const faults: string[] = [];
  const { imports } = index.summary(index.procedure(instruction.procedure));
  for (let i = 0; i < imports.length; i++) {
    const { formal, start, end, operand } = imports[i]!;
    if (formal === weightsFormal) continue;
    const { buffer, offset } = instruction.bind[formal]!;
    const { arena, offset: base } = index.buffer(buffer);
    const range = { arena, start: base + offset + start, end: base + offset + end };
    const expected = index.isStepInput(operand) ? operand : undefined;
    const only = memory.onlyContent(range);
    if (only === undefined || only.input?.name !== expected) {
      faults.push(
        ...valueFaults(memory, range, expected).map((text) => {
          return `${instruction.id}: ${operand} takes ${text} in ${buffer}`;
        }),
      );
    }
    if (!owners.knows(buffer)) continue;
    for (const own of owners.within(buffer, offset + start, offset + end)) {
      const whole = own.start === offset + start && own.end === offset + end;
      if (own.key === "value" && instruction.unit !== null && !whole) {
        faults.push(`${instruction.id}: ${operand} is not the whole of ${own.parameter.name}`);
      }
    }
  }
  return faults;
}

/** Values that are not the step input that is expected, or no step input at all; and pieces of several values. */
function valueFaults(memory: Memory, range: ArenaRange, expected: string | undefined): string[] {
  const strangers = new Set<string | undefined>();
  let first: Interval | undefined;
  let several = false;
  let torn = false;
  memory.eachContent(range, (content) => {
    if (!content) return;
    const { input, value } = content;
    if (input?.name !== expected) strangers.add(input?.name);
    first ??= value;
    several ||= value.start !== first.start || value.end !== first.end;
    torn ||= !covers(range, value);
  });
  const faults = [...strangers].map((name) => name ?? "computed data");
  return several && torn ? [...faults, "pieces of several values"] : faults;
}

/** Rows are gathered for tokens, as `embedding` takes them, and for nothing else. */
function gatherFaults(
  index: PlanIndex,
  memory: Memory,
  { id, indices }: Extract<Instruction, { kind: "gather" }>,
): string[] {
  const others = new Set<string>();
  memory.eachContent(index.locate(indices, indices.bytes), (content) => {
    if (content && content.input?.name !== TOKENS) others.add(content.input?.name ?? "computed data");
  });
  return [...others].map((name) => `${id} gathers rows for ${name}, not for ${TOKENS}`);
}

const TOKENS = "tokens" satisfies keyof typeof embedding.operands;

/** Weight operands are whole rows of one part of the unit, in the dtype of the file; head chunks know their rows. */
export function weightFaults(index: PlanIndex): { path: string; fault: string }[] {
  const judged = new Set<string>();
  return index.steps.flatMap(({ instruction, path }) => {
    if (instruction.kind !== "run" || instruction.unit === null) return [];
    const key = JSON.stringify([instruction.procedure, instruction.unit]);
    if (judged.has(key)) return [];
    judged.add(key);
    const unit = index.unit(instruction.unit);
    return index.procedure(instruction.procedure).calls.flatMap((call) =>
      Object.entries(call.operands)
        .filter(([, { formal }]) => formal === weightsFormal)
        .flatMap(([name, operand]) =>
          weightOperandFaults(index, unit, call, operand).map((text) => ({
            path,
            fault: `${instruction.procedure} with ${unit.id}: ${call.op}.${name} ${text}`,
          })),
        ),
    );
  });
}

function weightOperandFaults(
  index: PlanIndex,
  unit: PlanUnit,
  call: PlanCall,
  operand: PlanOperand,
): string[] {
  const { offset, shape, dtype } = operand;
  const end = offset + tensorBytes(shape, dtype);
  const part = unit.parts.find(({ at, bytes }) => at <= offset && offset < at + bytes);
  if (!part || end > unbrokenEnd(unit, part)) return ["is not one tensor's bytes"];
  const tensor = index.tensor(part.tensor);
  const rowBytes = tensor.bytes / tensor.shape[0]!;
  const first = part.from + offset - part.at;
  const faults: string[] = [];
  if (dtype !== tensor.storage) faults.push(`reads ${tensor.storage} as ${dtype}`);
  if (first % rowBytes !== 0 || shape.slice(1).join() !== tensor.shape.slice(1).join()) {
    faults.push(`is not whole rows of ${tensor.name}`);
  }
  if (call.op === crossEntropyTile.name && call.attributes.first_row !== first / rowBytes) {
    faults.push(`holds the vocabulary from row ${first / rowBytes} on`);
  }
  return faults;
}

/** Where a tensor's bytes end that lie in the unit as in the tensor, from this part on through those that continue it. */
function unbrokenEnd({ parts }: PlanUnit, first: PlanUnit["parts"][number]): number {
  let [from, at] = [first.from, first.at];
  for (let part: typeof first | undefined = first; part; ) {
    [from, at] = [part.from + part.bytes, part.at + part.bytes];
    part = parts.find((one) => one.tensor === first.tensor && one.from === from && one.at === at);
  }
  return at;
}
