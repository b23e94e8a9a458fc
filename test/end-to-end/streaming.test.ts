/**
 * Streamed equals resident, bit for bit: every gradient of three consecutive steps and every parameter after them, over
 * plans with different residency, micro-batch, tiers and traffic, threads and lane orders.
 */
import { describe, expect, it } from "vitest";
import type { Shape } from "../../planner/ir/schedule.ts";
import type { Units } from "../../planner/ir/units.ts";
import { buildVariants } from "../../planner/shape/training-variant.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import type { Plan } from "../../schemas/plan.ts";
import { verify } from "../../schemas/verify/index.ts";
import { planWithShape, shapeOf } from "../planner/plan-with-shape.ts";
import { caseInputs, type MachineOptions, type ParityCase, readCase } from "./case.ts";
import { bitsOf, type CaseRun, runCase, runPlan } from "./run-case.ts";

const STEPS = 3;

async function smallest(parity: ParityCase, tier: "ram" | "vram"): Promise<number> {
  const inputs = await caseInputs(parity, { [tier]: 2 ** 34, microBatch: 1 });
  return smallestMemory(inputs)[tier]!.total;
}

function bits({ losses, gradNorms, gradients, parameters }: CaseRun): readonly string[] {
  return [JSON.stringify([losses, gradNorms]), ...gradients.map(bitsOf), bitsOf(parameters)];
}

describe.each(["accumulation", "odd", "bf16_shards", "patterns"])("%s", (name) => {
  it("gives the same bits from the smallest budget to everything resident", async () => {
    const parity = await readCase(name);
    const ram = await smallest(parity, "ram");
    const vram = await smallest(parity, "vram");
    const machines: MachineOptions[] = [
      { ram, microBatch: 1 },
      { ram: Math.ceil(1.15 * ram) },
      { ram: Math.ceil(1.5 * ram), microBatch: 1 },
      { microBatch: 1 },
      { vram, microBatch: 1 },
      { vram: Math.ceil(1.2 * vram) },
      { vram: 2 ** 32 },
    ];
    const resident = await runCase(parity, await caseInputs(parity), { steps: STEPS });
    expect(resident.bytesRead.reduce((a, b) => a + b, 0)).toBe(0);
    const traffic = new Set<number>();
    for (const machine of machines) {
      const run = await runCase(parity, await caseInputs(parity, machine), { steps: STEPS });
      expect(bits(run), JSON.stringify(machine)).toEqual(bits(resident));
      traffic.add(run.plan.bounds.find(({ program }) => program === "train-step")!.moved);
    }
    expect(traffic.size).toBeGreaterThanOrEqual(3);
  });

  it("gives the same bits for one and two threads, and with one lane after another", async () => {
    const parity = await readCase(name);
    const inputs = await caseInputs(parity, { ram: await smallest(parity, "ram"), microBatch: 1 });
    const base = bits(await runCase(parity, inputs, { steps: STEPS }));
    expect(bits(await runCase(parity, inputs, { steps: STEPS, threads: 1 }))).toEqual(base);
    expect(bits(await runCase(parity, inputs, { steps: STEPS, serialLanes: true }))).toEqual(base);
    expect(bits(await runCase(parity, inputs, { steps: STEPS, diskThrottle: 2_000_000 }))).toEqual(base);
  });
});

/** A way to train that some budget could ask for, and instructions or buffers that show that it is really taken. */
interface Way {
  readonly units: "block" | "stage";
  readonly vram: boolean;
  /** `batch`: forwards of each unit, as every way moves one sequence at a time. */
  readonly shape: (units: Units, batch: number) => Partial<Shape>;
  readonly shows: readonly RegExp[];
  readonly lacks?: readonly RegExp[];
}

const headOf = ({ head }: Units) => head.map(({ unit }) => unit);

const ways: Readonly<Record<string, Way>> = {
  "half blocks in one slot each": {
    units: "stage",
    vram: false,
    shape: () => ({ ring: 1 }),
    shows: [
      /^fwd\/L00\.mlp\/mb1$/,
      /^read\/L00\.attention\//,
      /^read\/L01\.mlp\//,
      /^slot\/mlp\/0$/,
      /^slot\/head\//,
    ],
  },
  "kept activations while blocks stream, with the embedding table in memory": {
    units: "block",
    vram: false,
    shape: ({ norm, embedding }, batch) => {
      return { keep: batch, pinned: [norm, embedding], embedding: "resident", ring: 1 };
    },
    shows: [/^saved\/L01\/mb0@/, /^saved\/L01\/mb1@/, /^read\/L01\//, /^pin\/embedding$/],
    lacks: [/^gather\//, /^saved\/L00\//],
  },
  "activations kept over the turn for the last micro-batch alone": {
    units: "block",
    vram: false,
    shape: () => ({ keep: 1, ring: 1 }),
    shows: [/^saved\/L01\/mb[23]@/],
    lacks: [/^saved\/L01\/mb[01]@/],
  },
  "activations kept in ram, and where it computes": {
    units: "stage",
    vram: true,
    shape: (_, batch) => ({ keep: 1, keepInRam: 2 * batch, ring: 1 }),
    shows: [
      /^saved\/L01\.mlp\/mb[23]@/,
      /^saved\.passing\/1@/,
      /^save\/activations\/L00\.attention\/mb1\b/,
      /^save\/activations\/L01\.mlp\/mb[01]\b/,
      /^back\/activations\/L01\.attention\/mb[12]\b/,
    ],
    lacks: [/^save\/activations\/L01\.mlp\/mb3/, /^saved\/L0\d\.attention/],
  },
  "every activation in ram, and every input": {
    units: "block",
    vram: true,
    shape: ({ blocks }, batch) => ({ keepInRam: batch * blocks.length, offload: blocks.length }),
    shows: [/^save\/activations\/L01\/mb1\b/, /^back\/activations\/L00\/mb0\b/, /^back\/L00\/mb0$/],
  },
  "everything that can wait in ram does": {
    units: "stage",
    vram: true,
    shape: ({ blocks }) => ({ offload: blocks.length, adapter: "streamed", ring: 1, passing: 1 }),
    shows: [
      /^save\/L00\.attention\/mb0$/,
      /^back\/L01\.mlp\/mb1$/,
      /^copy\/adapter\/L00\.\w+\/up$/,
      /^copy\/adapter\/L01\.\w+\/down$/,
      /^ram\/pass\/0@/,
    ],
    lacks: [/^ram\/pass\/1@/, /^adapter\.device$/, /^ram\/pin\//],
  },
  "a block in ram, the other passing through two slots, half of the inputs put aside": {
    units: "block",
    vram: true,
    shape: ({ blocks }) => ({ offload: 1, ramPinned: [blocks[1]!], ring: 1, passing: 2 }),
    shows: [/^save\/L00\/mb0$/, /^back\/L00\/mb1$/, /^ram\/pin\/L01$/, /^ram\/pass\/1@/, /^copy\/L01\//],
    lacks: [/^save\/L01\//, /^read\/L01\/fwd/],
  },
  "half blocks that take turns in places of ram, one of them for some tensors only": {
    units: "stage",
    vram: true,
    shape: ({ blocks, byId }) => {
      const { bytes, parts } = byId.get(blocks[1]!)!;
      const cut = parts.at(-1)!.at;
      return {
        ring: 1,
        passing: 1,
        ramRings: [
          { unitClass: "attention", from: 0, to: byId.get(blocks[0]!)!.bytes, slots: 1 },
          { unitClass: "mlp", from: cut, to: bytes, slots: 1 },
        ],
      };
    },
    shows: [/^ram\/slot\/attention\/0$/, /^ram\/slot\/mlp\/0$/, /^ram\/pass\/0@/, /^copy\/L01\.mlp\/fwd\/2$/],
  },
  "kept activations of blocks whose inputs are put aside": {
    units: "stage",
    vram: true,
    shape: ({ blocks }, batch) => ({ offload: blocks.length, keep: 2 * batch, ring: 1 }),
    shows: [/^saved\/L01\.mlp\/mb0@/, /^back\/L01\.mlp\/mb0$/, /^save\/L01\.mlp\/mb1$/, /^adapter\.device$/],
  },
  "a head in ram, and one in vram": {
    units: "block",
    vram: true,
    shape: (units) => ({
      pinned: [units.norm, headOf(units)[0]!, units.blocks[0]!],
      ramPinned: [...units.blocks.slice(1), ...headOf(units).slice(1)],
    }),
    shows: [/^pin\/head\/0$/, /^ram\/pin\/L01$/, /^pin\/L00$/],
    lacks: [/^read\/head\/0\//],
  },
};

/** Ids of a step's instructions, and of all buffers. */
function idsOf({ programs, buffers }: Plan): readonly string[] {
  return [...programs["train-step"].steady, ...buffers].map(({ id }) => id);
}

describe.each(["accumulation", "odd", "bf16_shards"])("%s", (name) => {
  it.each(Object.keys(ways))("gives the bits of everything resident with %s", async (key) => {
    const { units, vram, shape, shows, lacks = [] } = ways[key]!;
    const parity = await readCase(name);
    const inputs = await caseInputs(parity, { microBatch: 1, ...(vram && { vram: 2 ** 34 }) });
    const variant = buildVariants(inputs).find(({ unitSize }) => unitSize === units)!;
    const plan = planWithShape(
      variant,
      shapeOf(variant, shape(variant.units, inputs.recipe.training.batch_size)),
    );
    expect(verify(plan)).toEqual([]);
    const ids = idsOf(plan);
    for (const wanted of shows)
      expect(
        ids.filter((id) => wanted.test(id)),
        `${wanted}`,
      ).not.toEqual([]);
    for (const unwanted of lacks) expect(ids.filter((id) => unwanted.test(id))).toEqual([]);
    const resident = await runCase(parity, await caseInputs(parity), { steps: STEPS });
    expect(bits(await runPlan(parity, inputs, plan, { steps: STEPS }))).toEqual(bits(resident));
  });
});
