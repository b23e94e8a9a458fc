/** Small real plans to take apart: everything streams through two slots, in two and in three tiers. */
import { compile } from "../../../planner/compile.ts";
import type { Plan } from "../../../schemas/plan.ts";
import { type ToyOptions, toyInputs } from "../../planner/toy.ts";

const small: ToyOptions = {
  layers: 3,
  hidden: 32,
  vocabulary: 96,
  batch: 2,
  microBatch: 1,
  length: 8,
  targets: ["q_proj", "down_proj"],
};

/** The plan in the least memory, so that units take turns in as few slots as there can be. */
export function tightPlan(tier: "ram" | "vram"): Plan {
  const { diagnostics } = compile(toyInputs({ ...small, [tier]: 1 }));
  const least = /at least (\d+) bytes/.exec(diagnostics.map(({ summary }) => summary).join("\n"))?.[1];
  const { plan, diagnostics: problems } = compile(toyInputs({ ...small, [tier]: Number(least) }));
  if (!plan) throw new Error(problems.map(({ code, summary }) => `${code}: ${summary}`).join("\n"));
  return JSON.parse(JSON.stringify(plan)) as Plan;
}
