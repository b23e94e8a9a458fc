/** Small real plans to take apart: everything streams, in two and in three tiers, and all ways to save memory at once. */
import { compile } from "../../../planner/compile.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import { smallestMemory } from "../../../planner/smallest-memory.ts";
import type { Plan } from "../../../schemas/plan.ts";
import { planWithShape, shapeOf } from "../../planner/plan-with-shape.ts";
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
  const least = smallestMemory(toyInputs({ ...small, [tier]: 2 ** 30 }))[tier]!.total;
  const { plan, diagnostics: problems } = compile(toyInputs({ ...small, [tier]: least }));
  if (!plan) throw new Error(problems.map(({ code, summary }) => `${code}: ${summary}`).join("\n"));
  return JSON.parse(JSON.stringify(plan)) as Plan;
}

/**
 * Stages of blocks of which some stay in vram, some in ram, some take turns there, and the others pass through it; two of three blocks' inputs
 * wait in ram, the adapter streams, and the last forwards keep their activations, those before them in ram.
 */
export function mixedPlan(): Plan {
  const variant = buildVariants(toyInputs({ ...small, vram: 2 ** 30 }))[1]!;
  const { blocks, byId, norm } = variant.units;
  const mlp = byId.get(blocks[1]!)!;
  const cut = mlp.parts.find(({ tensor }) => tensor.includes("up_proj"))!.at;
  const shape = shapeOf(variant, {
    ring: 1,
    pinned: [norm, blocks[3]!],
    ramPinned: [blocks[2]!, "head/0"],
    ramRings: [
      { unitClass: "mlp", from: 0, to: cut, slots: 1 },
      { unitClass: "attention", from: 0, to: byId.get(blocks[0]!)!.bytes, slots: 1 },
    ],
    passing: 1,
    offload: 4,
    adapter: "streamed",
    keep: 3,
    keepInRam: 2,
  });
  return JSON.parse(JSON.stringify(planWithShape(variant, shape))) as Plan;
}

/** Ids in a plan that show what it does: of the step's instructions and of all buffers. */
export const shownByMixedPlan: readonly RegExp[] = [
  /^fwd\/L00\.mlp\/mb0$/,
  /^save\/L01\.mlp\/mb1$/,
  /^back\/L00\.attention\/mb0$/,
  /^copy\/adapter\/L01\.\w+\/up$/,
  /^copy\/adapter\/L02\.\w+\/down$/,
  /^saved\/L02\.mlp\/mb0/,
  /^save\/activations\/L02\.attention\/mb0$/,
  /^back\/activations\/L01\.attention\/mb0$/,
  /^pin\/L01\.mlp$/,
  /^ram\/pin\/L01\.attention$/,
  /^ram\/pin\/head\/0$/,
  /^ram\/slot\/mlp\/0$/,
  /^ram\/slot\/attention\/0$/,
  /^ram\/pass\/0@train-step$/,
  /^slot\/head\/0@train-step$/,
];
