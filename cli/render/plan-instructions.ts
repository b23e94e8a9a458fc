/** The steady part of a program as a table, in serial order, with the predicted time of each instruction. */
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { AnyPlan, Instruction, LaneName, ProgramName } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { fitTable, missingText } from "./fit-table.ts";
import type { Screen } from "./screen.ts";
import { wrapLine } from "./table.ts";

const INDENT = "  ";
const HEAD = ["#", "lane", "starts", "takes", "moves", "instruction", "waits for"];
/** Columns that a narrow terminal can do without: the number, and the bytes. */
const SPARE = [0, 4];
const WAITS_SHOWN = 2;

export interface InstructionFilter {
  readonly program: ProgramName;
  /** One lane, or null for all of them. */
  readonly lane: LaneName | null;
}

export function renderInstructions(
  plan: AnyPlan,
  { program, lane }: InstructionFilter,
  { paint, columns }: Screen,
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
  const fit = { alignment: "rlrrrl", indent: INDENT, width: columns, spare: SPARE };
  const table = fitTable(HEAD, rows, fit);
  const lines = [
    ...wrapLine(`${paint.bold(`Instructions of ${program}`)} (serial order; predicted times)`, columns),
    ...table.head.map(paint.dim),
    ...table.rows.flat(),
    ...missingText(table.missing, INDENT, columns).map(paint.dim),
  ];
  return `${lines.join("\n")}\n`;
}

function waits({ waits: all }: Instruction): string {
  const shown = all.slice(0, WAITS_SHOWN).map(({ on, at }) => (at === 0 ? on : `${on} at call ${at}`));
  return all.length > WAITS_SHOWN ? `${shown.join(", ")}, +${all.length - WAITS_SHOWN}` : shown.join(", ");
}
