/** A difference of plans for people: the cause first, then its effect, the longest lists cut short. */
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { Painter } from "../render/human.ts";
import type { Screen } from "../render/screen.ts";
import { formatCount, formatTable, wrap, wrapLine } from "../render/table.ts";
import type { Change } from "./compare-values.ts";
import type { PartDiff, PlanDiff } from "./plan-diff.ts";

const SHOWN = 20;
const IDS_SHOWN = 24;
const CHANGED_SHOWN = 8;
/** Of one instruction. */
const CHANGES_SHOWN = 3;
const LINE_WIDTH = 96;
const VALUE_WIDTH = 40;
const INDENT = "  ";

export function renderDiff(
  diff: PlanDiff,
  names: readonly [string, string],
  { paint, columns }: Screen,
): string {
  if (diff.same) return `${names[0]} and ${names[1]} are the same plan\n${diff.plan_id[0]}\n`;
  const inputs =
    diff.inputs.length === 0
      ? ["  none: the same inputs, planned in another way"]
      : changeRows(diff.inputs, columns);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["Inputs", inputs],
    [
      "Memory, traffic, time",
      diff.figures.length === 0 ? ["  unchanged"] : figureRows(diff.figures, columns),
    ],
    [
      "Decisions",
      changeRows(
        diff.decisions.filter(({ path }) => path.endsWith(".chosen") || !path.includes(".")),
        columns,
      ),
    ],
    ...diff.instructions.map(
      (part) => [`Instructions of ${part.part}`, partRows(part, paint, columns)] as const,
    ),
    ["Everything else", restRows(diff.rest)],
  ];
  const body = sections
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `${paint.bold(title)}\n${rows.join("\n")}\n`);
  return `${paint.red(`- ${names[0]}`)}\n${paint.green(`+ ${names[1]}`)}\n\n${body.join("\n")}`;
}

function changeRows(changes: readonly Change[], columns: number): string[] {
  return cut(foldWide(changes.map(changeCells), "l", columns)).flat();
}

function figureRows(changes: readonly Change[], columns: number): string[] {
  const rows = changes.map((change) => [...changeCells(change), byHow(change.before, change.after)]);
  return foldWide(rows, "lrlrr", columns).flat();
}

function changeCells({ path, before, after }: Change): string[] {
  return [path, valueText(before, path), "→", valueText(after, path)];
}

/** The lines of each row. Where the table is wider than the terminal, it is none: what does not fit stands below. */
function foldWide(rows: readonly (readonly string[])[], alignment: string, columns: number): string[][] {
  const lines = formatTable(rows, alignment, INDENT);
  if (lines.every(({ length }) => length <= columns)) return lines.map((line) => [line]);
  return rows.map(([first = "", ...rest]) => foldRow(INDENT + first, rest, columns));
}

/** `+12 %`; nothing where it says nothing. */
function byHow(before: unknown, after: unknown): string {
  if (typeof before !== "number" || typeof after !== "number" || before === 0) return "";
  const percent = (100 * (after - before)) / before;
  if (Math.abs(percent) < 0.05) return "";
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  return `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(digits)} %`;
}

function partRows(
  { before, after, added, removed, changed, moved }: PartDiff,
  paint: Painter,
  columns: number,
): string[] {
  const counts = `${formatCount(before)} → ${formatCount(after)}: ${added.length} added, ${removed.length} removed, ${changed.length} changed, ${moved} moved`;
  const changes = changed.slice(0, CHANGED_SHOWN).map(({ id, changes: all }) => {
    const rows = all.slice(0, CHANGES_SHOWN).map(changeCells);
    const hidden = all.length - rows.length;
    return { id: `~ ${id}`, rows: hidden === 0 ? rows : [...rows, [`and ${hidden} more`]] };
  });
  const hidden = changed.length - CHANGED_SHOWN;
  return [
    ...wrapLine(INDENT + counts, columns).map(paint.dim),
    ...idRows("+", added, columns).map(paint.green),
    ...idRows("-", removed, columns).map(paint.red),
    ...changedRows(changes, columns),
    ...(hidden > 0 ? [moreText(hidden)] : []),
  ];
}

function foldRow(first: string, rest: readonly string[], columns: number): string[] {
  const values = rest.filter((cell) => cell !== "").join(" ");
  const line = `${first}  ${values}`.trimEnd();
  if (line.length <= columns) return [line];
  const [indent = ""] = /^ */.exec(first) ?? [];
  return [...wrapLine(first, columns), ...wrapLine(`${indent}    ${values}`, columns)];
}

interface ChangedRows {
  readonly id: string;
  readonly rows: readonly (readonly string[])[];
}

/** A table, or on a terminal that is too narrow for it the id in a line of its own, and a line a change. */
function changedRows(changes: readonly ChangedRows[], columns: number): string[] {
  const table = formatTable(
    changes.flatMap(({ id, rows }) => rows.map((row, index) => [index === 0 ? id : "", ...row])),
    "l",
    INDENT,
  );
  if (table.every(({ length }) => length <= columns)) return table;
  return changes.flatMap(({ id, rows }) => [
    INDENT + id,
    ...rows.flatMap(([path = "", ...values]) => foldRow(INDENT.repeat(3) + path, values, columns)),
  ]);
}

function idRows(sign: string, ids: readonly string[], columns: number): string[] {
  if (ids.length === 0) return [];
  const hidden = ids.length - IDS_SHOWN;
  const width = Math.min(LINE_WIDTH, columns - INDENT.length - 2);
  const rows = wrap(ids.slice(0, IDS_SHOWN).join(" "), width).map((line) => `${INDENT}${sign} ${line}`);
  return hidden > 0 ? [...rows, moreText(hidden)] : rows;
}

/** Counts by the plan's own sections, such as `buffers`. */
function restRows(changes: readonly Change[]): string[] {
  const counts = new Map<string, number>();
  for (const { path } of changes) {
    const section = path.split(/[.[]/, 1)[0]!;
    counts.set(section, (counts.get(section) ?? 0) + 1);
  }
  const rows = [...counts].map(([section, count]) => [
    section,
    `${formatCount(count)} ${count === 1 ? "difference" : "differences"}`,
  ]);
  return formatTable(rows, "lr", "  ");
}

/** A long list keeps its beginning; `--json` has all of it. */
function cut(rows: readonly string[][]): string[][] {
  if (rows.length <= SHOWN) return [...rows];
  return [...rows.slice(0, SHOWN), [moreText(rows.length - SHOWN)]];
}

const moreText = (count: number): string => `  … and ${formatCount(count)} more (all with --json)`;

function valueText(value: unknown, path: string): string {
  if (value === undefined) return "–";
  if (typeof value === "number") return numberText(value, path);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH - 1)}…` : text;
}

/** Figures in their units, which their keys name. */
function numberText(value: number, path: string): string {
  if (path.endsWith("_ns")) return formatNanoseconds(value);
  const isBytes = /(?:^|\.)(?:memory|traffic)\.|(?:^|\.)bytes$|bandwidth$/.test(path);
  return isBytes ? `${formatBytes(value)} (${value})` : String(value);
}
