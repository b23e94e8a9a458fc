/**
 * A run's last step beside its prediction, instruction by instruction.
 *
 * Every time is time at work: what an instruction stood waiting for other lanes is not in it.
 */
import { attendedIn } from "../../planner/cost/attended.ts";
import { costModel } from "../../planner/cost/duration.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { type Instruction, type LaneName, type Plan, programsOf } from "../../schemas/plan.ts";
import type { Metric, RunTrace } from "../../schemas/run.ts";
import { median } from "../probe/median.ts";

export interface ComparedTime {
  readonly predicted_ns: number;
  readonly measured_ns: number;
}

export interface ComparedInstruction extends ComparedTime {
  readonly instruction: Instruction;
}

export interface Explanation {
  readonly program: RunTrace["program"];
  /** The traced step from its start to its end. */
  readonly step: ComparedTime;
  /** Medians over the steps of the run: all of them, and its first and last third; null where there are too few. */
  readonly steps: {
    readonly count: number;
    readonly median_ns: number;
    readonly first_third_ns: number;
    readonly last_third_ns: number;
  } | null;
  readonly instructions: readonly ComparedInstruction[];
  readonly lanes: readonly (ComparedTime & { readonly lane: LaneName })[];
  /** Instructions that do the same: runs of one procedure, reads of units of one kind. */
  readonly groups: readonly (ComparedTime & { readonly name: string; readonly count: number })[];
}

/** `metrics`: the run's; rows of validation are passed over. Instructions that never ended are left out. */
export function compareTimes(plan: Plan, trace: RunTrace, metrics: readonly Metric[]): Explanation {
  const simulation = simulatePlan(plan, trace.program);
  const { instruction: predict } = costModel(plan.procedures, hardwareOf(plan), attendedIn(plan));
  const byId = new Map(
    programsOf(plan)[trace.program]!.steady.map((instruction) => [instruction.id, instruction]),
  );
  const instructions = trace.instructions.flatMap(({ id, start, end, waited }): ComparedInstruction[] => {
    const instruction = byId.get(id);
    invariant(instruction, `the trace has ${id}, which its plan does not know`);
    if (end === null) return [];
    return [
      {
        instruction,
        predicted_ns: Math.round(predict(instruction)),
        measured_ns: Math.max(1, end - start - waited),
      },
    ];
  });
  const last = Math.max(0, ...trace.instructions.map(({ end }) => end ?? 0));
  return {
    program: trace.program,
    step: { predicted_ns: simulation.duration, measured_ns: last },
    steps: drift(metrics),
    instructions,
    lanes: totals(instructions, ({ instruction }) => instruction.lane).map(({ name, ...time }) => {
      return { lane: name as LaneName, predicted_ns: time.predicted_ns, measured_ns: time.measured_ns };
    }),
    groups: totals(instructions, ({ instruction }) => groupOf(instruction)),
  };
}

/** The profile that a plan was made for. */
export function hardwareOf(plan: Plan): HardwareProfile {
  return plan.meta.hardware as unknown as HardwareProfile;
}

function groupOf(instruction: Instruction): string {
  switch (instruction.kind) {
    case "run":
      return `run ${instruction.procedure}`;
    case "copy":
      return `copy ${instruction.lane}`;
    case "read":
    case "gather":
    case "write":
      return instruction.kind;
  }
}

function totals(
  instructions: readonly ComparedInstruction[],
  nameOf: (compared: ComparedInstruction) => string,
): { name: string; count: number; predicted_ns: number; measured_ns: number }[] {
  const groups = new Map<
    string,
    { name: string; count: number; predicted_ns: number; measured_ns: number }
  >();
  for (const compared of instructions) {
    const name = nameOf(compared);
    const group = groups.get(name) ?? { name, count: 0, predicted_ns: 0, measured_ns: 0 };
    group.count += 1;
    group.predicted_ns += compared.predicted_ns;
    group.measured_ns += compared.measured_ns;
    groups.set(name, group);
  }
  return [...groups.values()].sort((a, b) => b.measured_ns - a.measured_ns);
}

/** Thirds of fewer steps than this say nothing. */
const FEWEST_STEPS = 6;

function drift(metrics: readonly Metric[]): Explanation["steps"] {
  const times = metrics.flatMap((row) => ("seconds" in row ? [Math.round(row.seconds * 1e9)] : []));
  if (times.length < FEWEST_STEPS) return null;
  const third = Math.floor(times.length / 3);
  return {
    count: times.length,
    median_ns: Math.round(median(times)),
    first_third_ns: Math.round(median(times.slice(0, third))),
    last_third_ns: Math.round(median(times.slice(-third))),
  };
}
