/** The different op calls of a training step. */
import type { Plan, PlanCall } from "../../schemas/plan.ts";

/** Of a training step's calls, one of each signature, in the order of the step. */
export function callsOf(plan: Plan): readonly PlanCall[] {
  const procedures = new Map(plan.procedures.map((procedure) => [procedure.id, procedure]));
  const calls = plan.programs["train-step"].steady.flatMap((instruction) =>
    instruction.kind === "run" && instruction.lane === "compute"
      ? procedures.get(instruction.procedure)!.calls
      : [],
  );
  return [...new Map(calls.map((call) => [signatureOf(call), call])).values()];
}

/** What a call's time may depend on, besides where its operands lie. */
export function signatureOf({ op, operands }: PlanCall): string {
  const shapes = Object.entries(operands).map(([name, { shape, dtype, accumulate }]) => {
    return `${name} ${dtype} ${shape.join("×")}${accumulate ? " +" : ""}`;
  });
  return [op, ...shapes].join(", ");
}
