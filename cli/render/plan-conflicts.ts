/** The bytes that order two instructions: both touch them, and at least one of the two writes. */
import { invariant } from "../../schemas/diagnostic.ts";
import type { AnyPlan, ArenaName, Instruction, PlanBuffer, Range } from "../../schemas/plan.ts";

export interface SharedBytes {
  readonly mine: PlanBuffer;
  readonly theirs: PlanBuffer;
  readonly arena: ArenaName;
  /** [start, end) in the arena. */
  readonly start: number;
  readonly end: number;
}

export interface Conflict {
  /** `data`: the later one needs what the earlier one makes; `memory`: it needs the place. */
  readonly kind: "data" | "memory";
  readonly words: string;
  readonly shared: readonly SharedBytes[];
}

/** Every reason for which `later` must come after `earlier`. */
export function conflictsBetween(
  plan: AnyPlan,
  earlier: Instruction,
  later: Instruction,
): readonly Conflict[] {
  const kinds = [
    ["data", "it reads what that writes", later.reads, earlier.writes],
    ["memory", "it overwrites what that reads", later.writes, earlier.reads],
    ["memory", "it overwrites what that writes", later.writes, earlier.writes],
  ] as const;
  return kinds.flatMap(([kind, words, mine, theirs]) => {
    const shared = mine.flatMap((a) => theirs.flatMap((b) => intersection(plan, a, b)));
    return shared.length === 0 ? [] : [{ kind, words, shared }];
  });
}

export function bufferOf(plan: AnyPlan, id: string): PlanBuffer {
  const buffer = plan.buffers.find((candidate) => candidate.id === id);
  invariant(buffer, `the verifier let an unknown buffer through: ${id}`);
  return buffer;
}

function intersection(plan: AnyPlan, mine: Range, theirs: Range): SharedBytes[] {
  const [a, b] = [bufferOf(plan, mine.buffer), bufferOf(plan, theirs.buffer)];
  const start = Math.max(a.offset + mine.offset, b.offset + theirs.offset);
  const end = Math.min(a.offset + mine.offset + mine.bytes, b.offset + theirs.offset + theirs.bytes);
  return a.arena !== b.arena || start >= end ? [] : [{ mine: a, theirs: b, arena: a.arena, start, end }];
}
