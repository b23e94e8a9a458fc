/**
 * What differs between two plans: what went in, what comes out in figures, then the instructions by their stable ids.
 *
 * Invariant: plans of different `plan_id` or `estimate_id` have at least one difference, since every field that an id
 * covers is compared in exactly one section.
 */
import {
  type AnyPlan,
  type GenerationPlan,
  type Instruction,
  type Plan,
  programName,
  programsOf,
} from "../../schemas/plan.ts";
import { planFacts } from "../render/plan-facts.ts";
import { type Change, compareValues } from "./compare-values.ts";
import { movedCount } from "./moved-count.ts";

export interface ChangedInstruction {
  readonly id: string;
  readonly changes: readonly Change[];
}

/** One part of one program. */
export interface PartDiff {
  /** Such as `train-step steady`. */
  readonly part: string;
  readonly before: number;
  readonly after: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly ChangedInstruction[];
  /** Instructions of both that stand at another place among them. */
  readonly moved: number;
}

export interface PlanDiff {
  readonly same: boolean;
  readonly plan_id: readonly [string, string];
  readonly inputs: readonly Change[];
  readonly figures: readonly Change[];
  readonly decisions: readonly Change[];
  readonly instructions: readonly PartDiff[];
  /** Everything else that a plan is made of: its buffers, units, procedures and so on. */
  readonly rest: readonly Change[];
}

export function diffPlans(before: AnyPlan, after: AnyPlan): PlanDiff {
  const [a, b] = [sectionsOf(before), sectionsOf(after)];
  const inputs = compareValues(a.inputs, b.inputs);
  const figures = compareValues(a.figures, b.figures);
  const decisions = compareValues(a.decisions, b.decisions);
  const rest = compareValues(a.rest, b.rest);
  const instructions = diffPrograms(before, after);
  const all = [inputs, figures, decisions, rest, instructions];
  return {
    same: all.every((list) => list.length === 0),
    plan_id: [before.plan_id, after.plan_id],
    inputs,
    figures,
    decisions,
    instructions,
    rest,
  };
}

function sectionsOf(plan: AnyPlan) {
  const {
    plan_id: _planId,
    estimate_id: _estimateId,
    format_version,
    lema_version,
    op_table,
    executable,
    inputs,
    numerics,
    meta,
    programs: _programs,
    decisions,
    ...others
  } = plan;
  const { work, rest } = splitWork(others);
  const { memory, traffic, time, shape } = planFacts(plan);
  return {
    inputs: {
      ...inputs,
      ...work,
      numerics,
      hardware: meta.hardware,
      lema_version,
      op_table,
      format_version,
      executable,
    },
    figures: { memory, traffic, time, shape },
    decisions: Object.fromEntries(decisions.map(({ name, ...decision }) => [name, decision])),
    rest,
  };
}

/** What the work is, which belongs to the inputs, apart from what the planner made of it. */
function splitWork<Others extends object>(others: Others) {
  if ("purpose" in others) {
    const { purpose, generation, ...rest } = others as Others &
      Pick<GenerationPlan, "purpose" | "generation">;
    return { work: { purpose, generation }, rest };
  }
  const { training, adapter, ...rest } = others as Others & Pick<Plan, "training" | "adapter">;
  return { work: { training, adapter_settings: adapter }, rest };
}

const PARTS = ["prologue", "steady", "epilogue"] as const;

function diffPrograms(before: AnyPlan, after: AnyPlan): PartDiff[] {
  const [earlier, later] = [programsOf(before), programsOf(after)];
  return programName.options.flatMap((program) =>
    PARTS.flatMap((part) => {
      const diff = diffPart(earlier[program]?.[part] ?? [], later[program]?.[part] ?? []);
      const { added, removed, changed, moved } = diff;
      if (added.length + removed.length + changed.length + moved === 0) return [];
      return [{ part: `${program} ${part}`, ...diff }];
    }),
  );
}

function diffPart(before: readonly Instruction[], after: readonly Instruction[]): Omit<PartDiff, "part"> {
  const earlier = new Map(before.map((instruction) => [instruction.id, instruction]));
  const later = new Map(after.map((instruction) => [instruction.id, instruction]));
  const common = before.filter(({ id }) => later.has(id));
  const places = new Map(after.map(({ id }, place) => [id, place]));
  return {
    before: before.length,
    after: after.length,
    added: after.filter(({ id }) => !earlier.has(id)).map(({ id }) => id),
    removed: before.filter(({ id }) => !later.has(id)).map(({ id }) => id),
    changed: common.flatMap((instruction) => {
      const changes = compareValues(comparable(instruction), comparable(later.get(instruction.id)!));
      return changes.length === 0 ? [] : [{ id: instruction.id, changes }];
    }),
    moved: movedCount(common.map(({ id }) => places.get(id)!)),
  };
}

/** An instruction with its lists keyed by what they name, so that one more wait is one change. */
function comparable({ id: _id, waits, reads, writes, ...own }: Instruction): object {
  const ranges = (list: Instruction["reads"]) =>
    Object.fromEntries(
      list.map(({ buffer, offset, bytes }, index) => {
        // Two ranges of one buffer are told apart by their order.
        const nth = list.slice(0, index).filter((range) => range.buffer === buffer).length;
        return [nth === 0 ? buffer : `${buffer}#${nth}`, `${bytes} bytes at ${offset}`];
      }),
    );
  return {
    ...own,
    waits: Object.fromEntries(waits.map(({ on, at }) => [on, `at call ${at}`])),
    reads: ranges(reads),
    writes: ranges(writes),
  };
}
