/** The budget ladder as a table: a row a budget, with what a step costs there, or how much is missing. */
import type { ArenaName } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { Ladder } from "../ladder.ts";
import type { PlanFacts, UnfittingFacts } from "./plan-facts.ts";
import { LANE_WORDS, tokensPerSecond } from "./plan-summary.ts";
import { formatTable } from "./table.ts";

type Link = "disk" | "h2d" | "d2h";

const LINK_HEADS: Readonly<Record<Link, string>> = { disk: "from disk", h2d: "to vram", d2h: "to ram" };

export function renderLadder({ tier, rows }: Ladder): string {
  const tiers: readonly ArenaName[] = tier === "vram" ? ["vram", "ram"] : ["ram"];
  const links: readonly Link[] = tier === "vram" ? ["disk", "h2d", "d2h"] : ["disk"];
  const heads = [...links.map((link) => LINK_HEADS[link]), ...tiers.map((name) => `${name} arena`)];
  const [title, ...lines] = formatTable(
    [
      [tier, "a step", "tokens/s", ...heads, "bottleneck"],
      ...rows.map((row) => [
        formatBytes(row.memory[tier]!.budget),
        ...(row.fits ? figures(row, links, tiers) : []),
      ]),
    ],
    `r${"r".repeat(2 + heads.length)}l`,
  );
  const notes = rows.map((row) => (row.fits ? "" : `  ${missing(row, tiers)}`));
  return [title!, ...lines.map((line, row) => line + notes[row]!)].join("\n");
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
function missing({ memory }: UnfittingFacts, tiers: readonly ArenaName[]): string {
  const lacking = tiers.flatMap((tier) => {
    const { total, budget } = memory[tier]!;
    return total > budget ? [`${formatBytes(total - budget)} of ${tier}`] : [];
  });
  return `does not fit: lacks ${lacking.join(", ")}`;
}
