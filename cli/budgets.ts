/** Memory budgets on the command line: `vram=6GiB,ram=8GiB`. */
import { InvalidArgumentError } from "commander";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { ArenaName } from "../schemas/plan.ts";
import type { Recipe } from "../schemas/recipe.ts";
import { type Bytes, parseBytes } from "../schemas/units.ts";

export interface BudgetText {
  readonly tier: ArenaName;
  /** As it was written. */
  readonly value: string;
}

/** An option that is repeated adds to what came before it; a tier has one budget. */
export function splitBudgets(text: string, previous: readonly BudgetText[] = []): readonly BudgetText[] {
  const budgets = text.split(",").map((part) => {
    const match = /^\s*(vram|ram)\s*=\s*(.+?)\s*$/.exec(part);
    if (!match) throw new InvalidArgumentError("Write it as vram=6GiB,ram=8GiB.");
    return { tier: match[1] as ArenaName, value: match[2]! };
  });
  const all = [...previous, ...budgets];
  const twice = all.find(({ tier }, index) => all.findIndex((other) => other.tier === tier) !== index);
  if (twice) throw new InvalidArgumentError(`The budget of ${twice.tier} is given twice.`);
  return all;
}

/** A recipe's memory with other budgets; `none` takes vram away. Throws `cli.usage` for what is no size. */
export function withBudgets(memory: Recipe["memory"], budgets: readonly BudgetText[]): Recipe["memory"] {
  let changed = memory;
  for (const { tier, value } of budgets) {
    if (tier === "vram" && value === "none") changed = { ...changed, vram: null };
    else changed = { ...changed, [tier]: bytesOf(tier, value) };
  }
  return changed;
}

function bytesOf(tier: string, value: string): Bytes {
  const parsed = parseBytes(value);
  if (parsed !== undefined) return parsed;
  throw new DiagnosticError(
    diagnostic("cli.usage", {
      summary: `\`${value}\` is no amount of memory`,
      hint: `write it as ${tier}=6GiB${tier === "vram" ? ", or vram=none for disk and ram only" : ""}`,
    }),
  );
}
