/** Memory budgets on the command line: `vram=6GiB,ram=8GiB`. */
import { InvalidArgumentError } from "commander";
import type { ArenaName } from "../schemas/plan.ts";

export interface BudgetText {
  readonly tier: ArenaName;
  /** As it was written. */
  readonly value: string;
}

export function splitBudgets(text: string): readonly BudgetText[] {
  return text.split(",").map((part) => {
    const match = /^\s*(vram|ram)\s*=\s*(.+?)\s*$/.exec(part);
    if (!match) throw new InvalidArgumentError("Write it as vram=6GiB,ram=8GiB.");
    return { tier: match[1] as ArenaName, value: match[2]! };
  });
}
