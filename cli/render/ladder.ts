/** The budget ladder as a table: a row a budget, with what a step costs there, or how much is missing. */
import type { ArenaName } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { Ladder } from "../ladder.ts";
import { fitTable, missingText } from "./fit-table.ts";
import type { PlanFacts, UnfittingFacts } from "./plan-facts.ts";
import { LANE_WORDS, tokensPerSecond } from "./plan-summary.ts";
import type { Screen } from "./screen.ts";
import { wrapLine } from "./table.ts";

type Link = "disk" | "h2d" | "d2h";

const LINK_HEADS: Readonly<Record<Link, string>> = { disk: "from disk", h2d: "to vram", d2h: "to ram" };

export function renderLadder({ tier, rows }: Ladder, { columns }: Pick<Screen, "columns">): string {
  const tiers: readonly ArenaName[] = tier === "vram" ? ["vram", "ram"] : ["ram"];
  const links: readonly Link[] = tier === "vram" ? ["disk", "h2d", "d2h"] : ["disk"];
  const heads = [
    ...[tier, "a step", "tokens/s"],
    ...links.map((link) => LINK_HEADS[link]),
    ...tiers.map((name) => `${name} arena`),
    "bottleneck",
  ];
  // How much of a budget is used says least.
  const spare = [...tiers.map((name) => `${name} arena`), ...links.map((link) => LINK_HEADS[link]).reverse()];
  const table = fitTable(
    heads,
    rows.map((row) => [
      formatBytes(row.memory[tier]!.budget),
      ...(row.fits ? figures(row, links, tiers) : []),
    ]),
    {
      alignment: `${"r".repeat(heads.length - 1)}l`,
      indent: "",
      width: columns,
      spare: spare.map((head) => heads.indexOf(head)),
    },
  );
  const lines = rows.flatMap((row, index) => {
    const own = table.rows[index]!;
    return row.fits ? own : wrapLine(`${own.join("")}  ${lacks(row, tiers)}`, columns);
  });
  return [...table.head, ...lines, ...missingText(table.missing, "", columns)].join("\n");
}

function figures(
  { time, traffic, memory, shape }: PlanFacts,
  links: readonly Link[],
  tiers: readonly ArenaName[],
): readonly string[] {
  return [
    formatNanoseconds(time.step_ns),
    tokensPerSecond(shape.tokens_per_step, time.step_ns),
    ...links.map((link) => formatBytes(traffic[link]?.bytes ?? 0)),
    ...tiers.map((tier) => formatBytes(memory[tier]!.arena)),
    LANE_WORDS[time.bottleneck],
  ];
}

/** What each tier lacks beside the budget of the other as it is. */
function lacks({ memory }: UnfittingFacts, tiers: readonly ArenaName[]): string {
  const lacking = tiers.flatMap((tier) => {
    const { total, budget } = memory[tier]!;
    return total > budget ? [`${formatBytes(total - budget)} of ${tier}`] : [];
  });
  return `does not fit: lacks ${lacking.join(", ")}`;
}
