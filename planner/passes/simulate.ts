/**
 * simulate: predicted step time, stalls with their cause, and the bound no schedule of the same work can beat.
 *
 * Requires: instructions with waits.
 * Guarantees: deterministic; depends on the hardware profile only through rates.
 */
import type { CommonInputs } from "../../schemas/inputs.ts";
import type { Plan, PlanProcedure, PlanProgram, ProgramName } from "../../schemas/plan.ts";
import { attendedBy } from "../cost/attended.ts";
import { costModel } from "../cost/duration.ts";
import type { Programs } from "../ir/schedule.ts";
import { simulate as runSimulation } from "../simulate/simulate.ts";

const STALLS_SHOWN = 5;

export function simulate(
  programs: Programs<PlanProgram>,
  procedures: readonly PlanProcedure[],
  inputs: CommonInputs,
): Plan["predictions"] {
  const durationOf = costModel(procedures, inputs.hardware, attendedBy(inputs)).instruction;
  return Object.entries(programs).flatMap(([name, { steady }]) => {
    const program = name as ProgramName;
    if (steady.length === 0) return [];
    const { duration, lanes, timeline } = runSimulation(steady, durationOf);
    const busiest = lanes.reduce((a, b) => (b.busy > a.busy ? b : a));
    const stalls = timeline
      .flatMap(({ instruction, stall }) =>
        stall ? [{ instruction: instruction.id, cause: stall.cause, ns: stall.ns }] : [],
      )
      .sort((a, b) => b.ns - a.ns)
      .slice(0, STALLS_SHOWN);
    return [
      {
        program,
        step_ns: duration,
        bound_ns: busiest.busy,
        bottleneck: busiest.lane,
        lanes: lanes.map(({ lane, busy, stalled }) => ({ lane, busy_ns: busy, stalled_ns: stalled })),
        stalls,
      },
    ];
  });
}
