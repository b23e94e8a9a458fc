/** The simulation of one step of a finished plan, on the hardware profile that it carries. */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { Plan, ProgramName } from "../../schemas/plan.ts";
import { costModel } from "../cost/duration.ts";
import { type Simulation, simulate } from "./simulate.ts";

/** Start, end and stall of every instruction of the program's steady part, in nanoseconds from the step's start. */
export function simulatePlan(plan: Plan, program: ProgramName = "train-step"): Simulation {
  const hardware = plan.meta.hardware as unknown as HardwareProfile;
  return simulate(plan.programs[program].steady, costModel(plan.procedures, hardware).instruction);
}
