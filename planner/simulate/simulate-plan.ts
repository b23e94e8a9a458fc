/** The simulation of one step of a finished plan, on the hardware profile that it carries. */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { type AnyPlan, cycleOf, type ProgramName, programsOf } from "../../schemas/plan.ts";
import { attendedIn } from "../cost/attended.ts";
import { costModel } from "../cost/duration.ts";
import { type Simulation, simulate } from "./simulate.ts";

/** Start, end and stall of every instruction of the program's steady part, in nanoseconds from the step's start. */
export function simulatePlan(plan: AnyPlan, program: ProgramName = cycleOf(plan)): Simulation {
  const hardware = plan.meta.hardware as unknown as HardwareProfile;
  const { instruction } = costModel(plan.procedures, hardware, attendedIn(plan));
  return simulate(programsOf(plan)[program]!.steady, instruction);
}
