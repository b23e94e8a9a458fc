/** The steady part of a program as a table, in serial order, with the predicted time of each instruction. */
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { AnyPlan, Instruction, LaneName, ProgramName } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { Painter } from "./human.ts";
import { formatTable } from "./table.ts";

const WAITS_SHOWN = 2;

export interface InstructionFilter {
  readonly program: ProgramName;
  /** One lane, or null for all of them. */
  readonly lane: LaneName | null;
}

export function renderInstructions(
  plan: AnyPlan,
  { program, lane }: InstructionFilter,
  paint: Painter,
): string {
  const rows = simulatePlan(plan, program)
    .timeline.map((timed, index) => ({ ...timed, index }))
    .filter(({ instruction }) => lane === null || instruction.lane === lane)
    .map(({ index, instruction, start, end }) => [
      String(index),
      instruction.lane,
      formatNanoseconds(start),
      formatNanoseconds(end - start),
      instruction.bytes === 0 ? "" : formatBytes(instruction.bytes),
      instruction.id,
      waits(instruction),
    ]);
  const [title, ...body] = formatTable(
    [["#", "lane", "starts", "takes", "moves", "instruction", "waits for"], ...rows],
    "rlrrrl",
    "  ",
  );
  return `${paint.bold(`Instructions of ${program}`)} (serial order; predicted times)\n${paint.dim(title!)}\n${body.join("\n")}\n`;
}

function waits({ waits: all }: Instruction): string {
  const shown = all.slice(0, WAITS_SHOWN).map(({ on, at }) => (at === 0 ? on : `${on} at call ${at}`));
  return all.length > WAITS_SHOWN ? `${shown.join(", ")}, +${all.length - WAITS_SHOWN}` : shown.join(", ");
}
