/** A difference of plans for people: the cause first, then its effect, the longest lists cut short. */
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { Painter } from "../render/human.ts";
import { formatCount, formatTable, wrap } from "../render/table.ts";
import type { Change } from "./compare-values.ts";
import type { PartDiff, PlanDiff } from "./plan-diff.ts";

const SHOWN = 20;
const IDS_SHOWN = 24;
const CHANGED_SHOWN = 8;
/** Of one instruction. */
const CHANGES_SHOWN = 3;
const LINE_WIDTH = 96;
const VALUE_WIDTH = 40;

export function renderDiff(diff: PlanDiff, names: readonly [string, string], paint: Painter): string {
  if (diff.same) return `${names[0]} and ${names[1]} are the same plan\n${diff.plan_id[0]}\n`;
  const inputs =
    diff.inputs.length === 0 ? ["  none: the same inputs, planned in another way"] : changeRows(diff.inputs);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["Inputs", inputs],
    ["Memory, traffic, time", diff.figures.length === 0 ? ["  unchanged"] : figureRows(diff.figures)],
    [
      "Decisions",
      changeRows(diff.decisions.filter(({ path }) => path.endsWith(".chosen") || !path.includes("."))),
    ],
    ...diff.instructions.map((part) => [`Instructions of ${part.part}`, partRows(part, paint)] as const),
    ["Everything else", restRows(diff.rest)],
  ];
  const body = sections
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `${paint.bold(title)}\n${rows.join("\n")}\n`);
  return `${paint.red(`- ${names[0]}`)}\n${paint.green(`+ ${names[1]}`)}\n\n${body.join("\n")}`;
}

function changeRows(changes: readonly Change[]): string[] {
  return cut(
    formatTable(
      changes.map(({ path, before, after }) => [path, valueText(before, path), "→", valueText(after, path)]),
      "l",
      "  ",
    ),
  );
}

function figureRows(changes: readonly Change[]): string[] {
  return formatTable(
    changes.map(({ path, before, after }) => [
      path,
      valueText(before, path),
      "→",
      valueText(after, path),
      byHow(before, after),
    ]),
    "lrlrr",
    "  ",
  );
}

/** `+12 %`; nothing where it says nothing. */
function byHow(before: unknown, after: unknown): string {
  if (typeof before !== "number" || typeof after !== "number" || before === 0) return "";
  const percent = (100 * (after - before)) / before;
  if (Math.abs(percent) < 0.05) return "";
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  return `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(digits)} %`;
}

function partRows({ before, after, added, removed, changed, moved }: PartDiff, paint: Painter): string[] {
  const counts = `${formatCount(before)} → ${formatCount(after)}: ${added.length} added, ${removed.length} removed, ${changed.length} changed, ${moved} moved`;
  const changes = changed.slice(0, CHANGED_SHOWN).flatMap(({ id, changes: all }) => {
    const rows = all
      .slice(0, CHANGES_SHOWN)
      .map(({ path, before: a, after: b }) => [path, valueText(a, path), "→", valueText(b, path)]);
    const hidden = all.length - rows.length;
    const whole = hidden === 0 ? rows : [...rows, [`and ${hidden} more`]];
    return whole.map((row, index) => [index === 0 ? `~ ${id}` : "", ...row]);
  });
  const hidden = changed.length - CHANGED_SHOWN;
  return [
    `  ${paint.dim(counts)}`,
    ...idRows("+", added).map(paint.green),
    ...idRows("-", removed).map(paint.red),
    ...formatTable(changes, "l", "  "),
    ...(hidden > 0 ? [moreText(hidden)] : []),
  ];
}

function idRows(sign: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const hidden = ids.length - IDS_SHOWN;
  const rows = wrap(ids.slice(0, IDS_SHOWN).join(" "), LINE_WIDTH).map((line) => `  ${sign} ${line}`);
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
function cut(lines: readonly string[]): string[] {
  if (lines.length <= SHOWN) return [...lines];
  return [...lines.slice(0, SHOWN), moreText(lines.length - SHOWN)];
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
