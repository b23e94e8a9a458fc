/**
 * A plan on one screen: what is trained, what fits where, what moves, how long a step takes, and why it is so.
 *
 * At most 100 columns wide, on a narrower terminal as wide as that. The same plan gives the same text where there is no
 * terminal: the goldens of the shipped recipes are this.
 */
import type { DatasetStatistics } from "../../data/statistics.ts";
import { formatStatistics } from "../../data/statistics.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { type AnyPlan, type ArenaName, cycleOf, type LaneName, programsOf } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { candidateLines, candidateTable } from "./candidate-table.ts";
import { fitRows } from "./fit-table.ts";
import { arenaUse, stepPrediction, weightTraffic } from "./plan-facts.ts";
import { count, workLines } from "./plan-work.ts";
import { type Screen, textWidth } from "./screen.ts";
import { formatBar, formatCount, formatShare, formatTable, wrap, wrapLine } from "./table.ts";

export interface SummaryOptions {
  readonly screen: Screen;
  /** Where a key of the recipe stands, such as `recipe.yaml:12`; undefined when the recipe is not at hand. */
  readonly placeOf: ((path: string) => string | undefined) | null;
  /** Of the dataset as it was read; null when it was not. */
  readonly statistics: DatasetStatistics | null;
}

const BAR = 30;
/** A shorter bar says nothing. */
const LEAST_BAR = 8;
const INDENT = "  ";
const LABEL = 14;
const STALLS_SHOWN = 3;
const CANDIDATES_SHOWN = 8;

export const LANE_WORDS: Readonly<Record<LaneName, string>> = {
  disk: "disk reads",
  h2d: "copies to vram",
  compute: "computation",
  d2h: "copies to ram",
  host: "host",
};

export function renderSummary(plan: AnyPlan, options: SummaryOptions): string {
  const { screen, statistics } = options;
  const { paint, columns } = screen;
  const width = textWidth(screen);
  const generates = "purpose" in plan;
  const step = generates ? "token" : "step";
  const sections: readonly (readonly [string, readonly string[]])[] = [
    [generates ? "Generation" : "Training", workLines(plan, columns)],
    [
      "Dataset",
      statistics === null
        ? []
        : formatStatistics(statistics, columns - INDENT.length)
            .split("\n")
            .flatMap((l) => wrapLine(INDENT + l, columns)),
    ],
    ["Memory", memory(plan, columns)],
    ["Weights", weights(plan, columns)],
    [`Traffic per ${step}`, traffic(plan, columns)],
    [`Time per ${step}`, time(plan, columns)],
    ["Decisions", decisions(plan, options)],
    [
      "Shapes weighed (the chosen one first: 1 % of time is given for little traffic; with ~ estimated)",
      candidates(plan, screen),
    ],
    ["Plan", identity(plan, columns)],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `${wrap(title, width).map(paint.bold).join("\n")}\n${lines.join("\n")}\n`)
    .join("\n");
}

function memory(plan: AnyPlan, columns: number): string[] {
  const width = textWidth({ columns });
  const budgets = (["vram", "ram"] as const).flatMap((tier) => {
    const budget = plan.budgets[tier];
    return budget === null ? [] : [{ tier, budget, figures: figuresOf(budget) }];
  });
  const label = INDENT.length + 6;
  const taken = label + 2 + Math.max(...budgets.map(({ figures }) => figures.length));
  const bar = Math.max(LEAST_BAR, Math.min(BAR, columns - taken));
  return budgets.flatMap(({ tier, budget, figures }) => {
    const { arena, reserve, total } = budget;
    const use = arenaUse(plan, tier);
    const parts = [
      [use.weights, "weights"],
      [use.adapter, hasMoments(plan, tier) ? "adapter and its AdamW state" : "adapter"],
      [use.caches, "keys and values"],
      [use.step, "purpose" in plan ? "activations, buffers" : "activations, gradients, buffers"],
    ] as const;
    const held = parts.filter(([bytes]) => bytes > 0).map(([bytes, what]) => `${formatBytes(bytes)} ${what}`);
    const below = [
      `arena ${formatBytes(arena)} + reserve ${formatBytes(reserve)} for the process`,
      `in the arena: ${held.join(" · ")}`,
    ].flatMap((text) => wrap(text, width - label));
    return [
      `${INDENT}${tier.padEnd(4)}  ${formatBar(total, budget.budget, bar)}  ${figures}`,
      ...below.map((line) => " ".repeat(label) + line),
    ];
  });
}

function figuresOf({ total, budget }: NonNullable<AnyPlan["budgets"]["ram"]>): string {
  return `${formatBytes(total)} of ${formatBytes(budget)} (${formatShare(total / budget)})`;
}

function hasMoments(plan: AnyPlan, tier: ArenaName): boolean {
  return !("purpose" in plan) && (tier === "ram" || plan.shape.tiers === "disk-ram");
}

function weights(plan: AnyPlan, width: number): string[] {
  const rows = weightTraffic(plan);
  const where = plan.shape.compute_arena;
  const kinds = [
    ["resident", `stay in ${where}`],
    ["streamed", `take turns in ${count(plan.shape.ring, "slot")} of ${where}`],
    ["gathered", "read row by row, as tokens ask for them"],
  ] as const;
  return fitRows(
    kinds.flatMap(([kept, words]) => {
      const own = rows.filter((row) => row.kept === kept);
      if (own.length === 0) return [];
      const bytes = own.reduce((sum, row) => sum + row.bytes, 0);
      const loads = own.reduce((sum, row) => sum + row.loads, 0);
      const reads = own.reduce((sum, row) => sum + row.reads, 0);
      const per = kept === "streamed" ? `; ${count(loads, "load")} a step${fromDisk(plan, reads)}` : "";
      return [[kept, formatBytes(bytes), count(own.length, "unit"), `${words}${per}`]];
    }),
    { alignment: "lrrl", indent: INDENT, width },
  );
}

function fromDisk(plan: AnyPlan, reads: number): string {
  if (plan.shape.tiers === "disk-ram") return "";
  return reads === 0 ? ", none from disk" : `, ${formatCount(reads)} from disk`;
}

function traffic(plan: AnyPlan, width: number): string[] {
  const rows = plan.bounds
    .filter(({ program }) => program === cycleOf(plan))
    .map(({ link, moved, bound, gap_ppm }) => [
      LANE_WORDS[link],
      formatBytes(moved),
      `at least ${formatBytes(bound)}`,
      gap_ppm === 0 ? "optimal" : `${bound === 0 ? "all" : formatShare(gap_ppm / 1e6)} above the bound`,
    ]);
  return fitRows(rows, { alignment: "lrrl", indent: INDENT, width });
}

function time(plan: AnyPlan, columns: number): string[] {
  const { step_ns, bound_ns, bottleneck, lanes } = stepPrediction(plan);
  const rate = tokensPerSecond(plan.shape.tokens_per_step, step_ns);
  const head =
    `${formatNanoseconds(step_ns)} predicted, ${rate} tokens/s; no schedule of this work ` +
    `is faster than ${formatNanoseconds(bound_ns)}`;
  const table = (bar: number): string[] => {
    const rows = lanes.map(({ lane, busy_ns }) => [
      LANE_WORDS[lane],
      ...(bar < LEAST_BAR ? [] : [formatBar(busy_ns, step_ns, bar)]),
      `${formatNanoseconds(busy_ns)} busy`,
      formatShare(busy_ns / step_ns),
      lane === bottleneck ? "← the bottleneck" : "",
    ]);
    return formatTable(rows, bar < LEAST_BAR ? "lrrl" : "llrrl", INDENT);
  };
  const over = Math.max(...table(BAR).map(({ length }) => length)) - columns;
  return [
    ...wrapLine(INDENT + head, columns),
    ...table(BAR - Math.max(0, over)),
    ...stalls(plan, bottleneck, columns),
  ];
}

export function tokensPerSecond(tokens: number, ns: number): string {
  const rate = tokens / (ns / 1e9);
  return rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate));
}

/** The longest waits of the lane that decides; waits of the others cost nothing. */
function stalls(plan: AnyPlan, lane: LaneName, width: number): string[] {
  const waits = simulatePlan(plan)
    .timeline.flatMap(({ instruction, stall }) =>
      instruction.lane === lane && stall !== null ? [{ id: instruction.id, ...stall }] : [],
    )
    .sort((a, b) => b.ns - a.ns)
    .slice(0, STALLS_SHOWN);
  if (waits.length === 0) return [`${INDENT}${LANE_WORDS[lane]} never waits`];
  const rows = waits.map(({ id, cause, ns }, index) => [
    index === 0 ? "longest waits" : "",
    formatNanoseconds(ns),
    `${id} for ${cause}`,
  ]);
  return fitRows(rows, { alignment: "lrl", indent: INDENT, width });
}

function decisions(plan: AnyPlan, { screen, placeOf }: SummaryOptions): string[] {
  const { paint } = screen;
  const pad = " ".repeat(INDENT.length + LABEL);
  return plan.decisions.flatMap(({ name, chosen, reason, recipe_path }) => {
    const place = recipe_path === null ? undefined : (placeOf?.(recipe_path) ?? recipe_path);
    const because = place === undefined ? reason : `${reason} (${place})`;
    return [
      `${INDENT}${name.padEnd(LABEL)}${chosen}`,
      ...wrap(because, textWidth(screen) - pad.length).map((line) => pad + paint.dim(line)),
    ];
  });
}

/** The chosen shape beside the best of those that lost. */
function candidates(plan: AnyPlan, screen: Screen): string[] {
  const { columns, rows } = candidateTable(plan);
  if (rows.length < 2) return [];
  const shown = rows.slice(0, CANDIDATES_SHOWN);
  const left = rows.length - shown.length;
  return [
    ...candidateLines({ columns, rows: shown }, textWidth(screen), screen.paint),
    ...(left > 0 ? [`${INDENT}and ${left} more: lema show --html`] : []),
  ];
}

function identity(plan: AnyPlan, width: number): string[] {
  const { plan_id, executable } = plan;
  const { steady } = programsOf(plan)[cycleOf(plan)]!;
  return [
    `${INDENT}${plan_id}`,
    ...wrapLine(
      `${INDENT}${formatCount(steady.length)} instructions a step; ` +
        (executable ? "verified, ready to execute" : "verified; made by --dry-run, not to be executed"),
      width,
    ),
  ];
}
