/**
 * What is in which byte of each memory at one moment of a predicted step, and what every lane does at it.
 *
 * A moment is a share of the step, such as `37%`, or the predicted start of an instruction.
 */
import { DiagnosticError, diagnostic, invariant } from "../../schemas/diagnostic.ts";
import type { AnyPlan, ArenaName, ProgramName } from "../../schemas/plan.ts";
import { nearest } from "../../schemas/suggest.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { type FittedTable, fitTable, missingText } from "./fit-table.ts";
import { HOLDINGS, livingAt, type MemoryMap, memoryMap, type Occupation } from "./memory-map.ts";
import type { Screen } from "./screen.ts";
import { formatShare, formatTable, wrap } from "./table.ts";

export interface Moment {
  readonly program: ProgramName;
  /** Nanoseconds from the step's start. */
  readonly at: number;
  readonly duration: number;
  readonly running: readonly { readonly lane: string; readonly instruction: string }[];
  readonly arenas: readonly {
    readonly arena: ArenaName;
    readonly bytes: number;
    readonly live: number;
    readonly holds: readonly Occupation[];
  }[];
}

/** Throws `cli.usage` when `wanted` is neither a share nor an instruction of the program's steady part. */
export function momentOf(plan: AnyPlan, program: ProgramName, wanted: string): Moment {
  const map = memoryMap(plan, program);
  const at = timeOf(map, wanted);
  const running = map.timeline
    .filter(({ start, end }) => start <= at && at < end)
    .map(({ instruction }) => ({ lane: instruction.lane, instruction: instruction.id }));
  const sizes = [["vram", plan.budgets.vram] as const, ["ram", plan.budgets.ram] as const];
  const arenas = sizes.flatMap(([arena, budget]) => {
    if (budget === null) return [];
    const holds = livingAt(map, at).filter((one) => one.arena === arena);
    const live = holds.reduce((sum, { bytes }) => sum + bytes, 0);
    return [{ arena, bytes: budget.arena, live, holds }];
  });
  return { program, at, duration: map.duration, running, arenas };
}

function timeOf({ timeline, duration }: MemoryMap, wanted: string): number {
  const share = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(wanted);
  if (share) {
    const percent = Number(share[1]);
    // Time intervals are half-open: the end of the step is no moment of it.
    if (percent <= 100) return Math.min(Math.round((percent / 100) * duration), duration - 1);
    throw unknownMoment(`${wanted} is beyond the end of the step`, "write a share from 0% to 100%");
  }
  const timed = timeline.find(({ instruction }) => instruction.id === wanted);
  if (timed !== undefined) return Math.min(timed.start, duration - 1);
  const near = nearest(
    wanted,
    timeline.map(({ instruction }) => instruction.id),
  );
  throw unknownMoment(
    `\`${wanted}\` is neither a share of the step nor an instruction of it`,
    near === undefined
      ? "write it as 37%, or as one of `lema show PLAN --instructions`"
      : `did you mean \`${near}\`?`,
  );
}

function unknownMoment(summary: string, hint: string): DiagnosticError {
  return new DiagnosticError(diagnostic("cli.usage", { summary, hint }));
}

const INDENT = "  ";
const HEAD = ["from byte", "to", "bytes", "kind", "what"];
const [TO, KIND, WHAT] = [1, 3, 4];

export function renderMoment(moment: Moment, { paint, columns }: Screen): string {
  const { program, at, duration, running, arenas } = moment;
  const title = `${formatNanoseconds(at)} after the start of ${program} (${formatShare(at / duration)} of ${formatNanoseconds(duration)})`;
  const lanes = formatTable(
    running.map(({ lane, instruction }) => [lane, instruction]),
    "l",
    INDENT,
  );
  const tiers = arenas.map(({ arena, bytes, live, holds }) => {
    const { head, rows, missing } = fitMoment(rowsOf(holds, bytes), columns);
    return [
      `${paint.bold(arena)}  ${formatBytes(live)} of ${formatBytes(bytes)} in use`,
      ...head.map(paint.dim),
      ...rows.flat(),
      ...missingText(missing, INDENT, columns).map(paint.dim),
    ].join("\n");
  });
  const doing = running.length === 0 ? ["  nothing runs"] : lanes;
  return `${[`${wrap(paint.bold(title), columns).join("\n")}\n${doing.join("\n")}`, ...tiers].join("\n\n")}\n`;
}

/** Where a row ends can be left out, as there the next begins; and what kind it is, which what is free says itself then. */
function fitMoment(rows: readonly string[][], columns: number): FittedTable {
  const fit = { alignment: "rrrl", indent: INDENT, width: columns, spare: [TO, KIND] };
  const whole = fitTable(HEAD, rows, fit);
  if (!whole.missing.includes(HEAD[KIND]!)) return whole;
  return fitTable(
    HEAD,
    rows.map((row) => (row[WHAT] === "" ? row.with(WHAT, row[KIND]!) : row)),
    fit,
  );
}

/** One row for each buffer and for each gap, so that the rows cover the arena. */
function rowsOf(holds: readonly Occupation[], arena: number): string[][] {
  const rows: string[][] = [];
  let end = 0;
  const gapTo = (next: number): void => {
    if (next > end) rows.push([String(end), String(next), formatBytes(next - end), "free", ""]);
  };
  for (const one of holds) {
    gapTo(one.offset);
    end = one.offset + one.bytes;
    rows.push([String(one.offset), String(end), formatBytes(one.bytes), wordsOf(one), contentsOf(one)]);
  }
  gapTo(arena);
  return rows;
}

function wordsOf({ holding }: Occupation): string {
  const found = HOLDINGS.find(({ id }) => id === holding);
  invariant(found, `every kind of contents has words: ${holding}`);
  return found.words;
}

function contentsOf({ buffer, unit, loading }: Occupation): string {
  if (unit === null) return buffer;
  return loading === null ? `${buffer}: ${unit}` : `${buffer}: ${unit}, coming by ${loading}`;
}
