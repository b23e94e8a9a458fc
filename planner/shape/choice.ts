/** What a plan says of the search: what was chosen in each respect and why, and the shapes that lost, with their reasons. */
import type { Plan } from "../../schemas/plan.ts";
import type { Candidate } from "./candidates.ts";

/** Both are as a plan has them. */
export type Choice = Pick<Plan, "decisions" | "candidates">;

/** One respect in which candidates differ. */
interface Aspect {
  readonly name: string;
  readonly recipePath: string;
  readonly reason: string;
  /** Short enough for a column of a table. */
  readonly read: (candidate: Candidate) => string;
}

/** Of the candidates that lost by the closed form alone, so many with another value in a respect are listed. */
const OTHERS_PER_ASPECT = 2;

/** What a plan says of the search's findings; `time` in nanoseconds a step, null where the schedule was not timed. */
export interface Found {
  readonly time: number | null;
  /** For the best why it is, for the others why they are not. */
  readonly reason: string;
}

/** `ranked`: all candidates, the best by the closed form first; `fastest`: some by the time of their schedules. */
export function choiceOf(
  best: Candidate,
  ranked: readonly Candidate[],
  fastest: readonly Candidate[],
  foundOf: (candidate: Candidate) => Found,
): Choice {
  const aspects = aspectsOf(best);
  const valuesOf = (candidate: Candidate): string[] => aspects.map(({ read }) => read(candidate));
  const listed = new Map<string, Candidate>([[valuesOf(best).join(), best]]);
  for (const candidate of fastest) addNew(listed, valuesOf(candidate), candidate);
  for (const { read } of aspects) {
    const seen = new Set([...listed.values()].map(read));
    const limit = listed.size + OTHERS_PER_ASPECT;
    for (const candidate of ranked) {
      if (listed.size >= limit) break;
      const value = read(candidate);
      if (seen.has(value)) continue;
      seen.add(value);
      addNew(listed, valuesOf(candidate), candidate);
    }
  }
  return {
    decisions: aspects.map(({ name, recipePath, reason, read }) => {
      return { name, chosen: read(best), reason, recipe_path: recipePath };
    }),
    candidates: [...listed.values()].map((candidate) => {
      const { time, reason } = foundOf(candidate);
      return {
        values: valuesOf(candidate),
        estimate_ns: Math.round(candidate.estimate.step_ns),
        simulated_ns: time === null ? null : Math.round(time),
        moved: Math.round(candidate.estimate.moved),
        reason,
      };
    }),
  };
}

function addNew(listed: Map<string, Candidate>, values: readonly string[], candidate: Candidate): void {
  const key = values.join();
  if (!listed.has(key)) listed.set(key, candidate);
}

function aspectsOf({ variant, shape }: Candidate): readonly Aspect[] {
  const onDevice = shape.tiers === "disk-ram-vram";
  const portion = variant.portionText;
  return [
    units,
    pinned,
    ring,
    ...(onDevice ? [ram] : []),
    ...(variant.activations(shape).blocks.length > 0 ? [activations] : []),
    ...(onDevice && variant.offloads.length > 1 ? [blockInputs] : []),
    ...(onDevice ? [adapter] : []),
    rows,
    {
      name: portion.name,
      recipePath: portion.recipePath,
      reason: portion.reason,
      read: (candidate) => portion.value(candidate.shape),
    },
  ];
}

const units: Aspect = {
  name: "units",
  recipePath: "memory",
  reason: "what moves together: blocks, or their stages",
  read: ({ shape }) => (shape.unitSize === "block" ? "blocks" : "stages"),
};

const pinned: Aspect = {
  name: "pinned",
  recipePath: "memory",
  reason: "units that stay where it computes; each saves its loads in each step",
  read: (candidate) => {
    const all = candidate.variant.units.blocks.length;
    return `${all - turning(candidate)} of ${all}`;
  },
};

const ring: Aspect = {
  name: "ring",
  recipePath: "memory",
  reason: "slots that the other units take turns in: one is computed on while the next are filled",
  read: (candidate) => (turning(candidate) === 0 ? "none" : String(candidate.shape.ring)),
};

const ram: Aspect = {
  name: "ram",
  recipePath: "memory.ram",
  reason:
    "streamed units that stay in ram, or places that they take turns in; time comes before traffic where it is more than 1 %",
  read: (candidate) => {
    const { ramPinned, ramRings } = candidate.shape;
    const streaming = streamingBlocks(candidate);
    const places = ramRings.reduce((sum, { slots }) => sum + slots, 0);
    if (places > 0) return `${places} in turn`;
    return `${streaming.filter((unit) => ramPinned.includes(unit)).length} of ${streaming.length}`;
  },
};

const activations: Aspect = {
  name: "kept",
  recipePath: "memory",
  reason:
    "units whose activations are kept, where it computes or in ram, and not recomputed; of one perhaps for some micro-batches",
  read: ({ shape, variant }) => {
    const { perBlock } = variant.activations(shape);
    const here = inUnits(shape.keep, perBlock);
    if (shape.keepInRam > 0) return `${here} + ${inUnits(shape.keepInRam, perBlock)} ram`;
    return `${here} of ${variant.units.blocks.length}`;
  },
};

/** So many forwards as units: 2.3 where one of four micro-batches of the third is among them. */
function inUnits(forwards: number, perBlock: number): string {
  return String(Math.round((forwards / perBlock) * 10) / 10);
}

const blockInputs: Aspect = {
  name: "inputs",
  recipePath: "memory.vram",
  reason:
    "where the inputs of blocks wait for the backward pass: in ram they cost no vram, and cross the link twice",
  read: ({ shape }) => (shape.offload > 0 ? "ram" : "vram"),
};

const adapter: Aspect = {
  name: "adapter",
  recipePath: "memory.vram",
  reason: "a streamed adapter needs the room of two blocks' parts, and crosses the link twice a step",
  read: ({ shape }) => shape.adapter,
};

const rows: Aspect = {
  name: "rows",
  recipePath: "memory",
  reason:
    "where rows of the embedding come from: a table that stays where it computes, or the disk, one by one",
  read: ({ shape }) => (shape.embedding === "gather" ? "disk" : "table"),
};

/** How many take turns: where the slots hold all that stream, none does. */
function turning(candidate: Candidate): number {
  const streaming = streamingBlocks(candidate).length;
  return streaming <= candidate.shape.ring ? 0 : streaming;
}

function streamingBlocks({ shape, variant }: Candidate): readonly string[] {
  const pinned = new Set(shape.pinned);
  return variant.units.blocks.filter((unit) => !pinned.has(unit));
}
