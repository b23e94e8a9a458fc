/**
 * Optimal, and it says so: what plans load against exhaustive search, the bound that they carry against both, and the
 * simulated step against its closed form.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { windowBound } from "../../planner/cost/bounds.ts";
import { buildVariants, type TrainingVariant } from "../../planner/shape/training-variant.ts";
import { simulate } from "../../planner/simulate/simulate.ts";
import type { Instruction, Plan } from "../../schemas/plan.ts";
import { verify } from "../../schemas/verify/index.ts";
import { leastBytes, leastReads, type Sized } from "./exhaustive.ts";
import { planWithShape, shapeOf } from "./plan-with-shape.ts";
import { type ToyOptions, toyInputs } from "./toy.ts";

const small: ToyOptions = { hidden: 32, vocabulary: 96, batch: 2, length: 8, targets: ["q_proj"] };

function wholeBlocks(options: ToyOptions): TrainingVariant {
  return buildVariants(toyInputs({ ...small, ...options }))[0]!;
}

const upAndDown = (units: readonly string[]) => [...units, ...units.toReversed()];

const blocksOf = ({ units }: Plan) => units.flatMap(({ id, kind }) => (kind === "block" ? [id] : []));

/** Times that blocks come over a link in a step. */
function blockLoads(plan: Plan, lane: "disk" | "h2d"): number {
  const block = plan.units.find(({ kind }) => kind === "block")!;
  const moved = plan.programs["train-step"].steady.reduce((sum, one) => {
    const loads = (one.kind === "read" || one.kind === "copy") && one.lane === lane;
    return loads && one.unit?.startsWith("L") ? sum + one.bytes : sum;
  }, 0);
  const payload = block.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  return moved / (lane === "disk" ? payload : block.bytes);
}

/** Bytes of weights that a step moves over a link beyond what the bound proves; embedding rows are left out. */
function excess(plan: Plan, lane: "disk" | "h2d"): number {
  const moved = plan.programs["train-step"].steady.reduce((sum, one) => {
    const weights = one.kind === "read" || (one.kind === "copy" && one.unit !== null);
    return weights && one.lane === lane ? sum + one.bytes : sum;
  }, 0);
  const { bound, certificate } = plan.bounds.find(
    ({ program, link }) => program === "train-step" && link === lane,
  )!;
  return moved - (bound - (certificate.compulsory as number));
}

describe("exhaustive search", () => {
  it("agrees with what can be seen: a chain in k slots reloads 2(L − k) units", () => {
    const units = ["a", "b", "c", "d"];
    const cycle = upAndDown(units).map((unit) => ({ unit, bytes: 7 }));
    expect([1, 2, 3, 4].map((slots) => leastBytes(cycle, 7 * slots))).toEqual([42, 28, 14, 0]);
    expect([0, 1, 2].map((far) => leastReads(upAndDown(units), 1, far))).toEqual([6, 4, 2]);
    expect(leastReads(upAndDown(units), 2, 4)).toBe(0);
  });
});

describe("rows of the embedding that share pages", () => {
  const variant = wholeBlocks({ layers: 2, vocabulary: 96, length: 256 });
  const plan = planWithShape(variant, shapeOf(variant, { microBatch: 1 }));
  const disk = plan.bounds.findIndex(({ program, link }) => program === "train-step" && link === "disk");

  it("need no more than the table, once for each micro-batch that has other tokens", () => {
    const table = plan.tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
    const pages = Math.ceil((table.offset + table.bytes) / 4096) - Math.floor(table.offset / 4096);
    expect(plan.bounds[disk]!.certificate.compulsory).toBe(2 * pages * 4096);
    expect(verify(plan)).toEqual([]);
  });

  it("are not counted page by page for each row, as the verifier knows", () => {
    const claimed = structuredClone(plan);
    claimed.bounds[disk]!.bound += 4096;
    expect(verify(claimed).map(({ code }) => code)).toContain("verify.bound");
    const [wrong] = verify(claimed).filter(({ code }) => code === "verify.bound");
    expect(wrong!.summary).toContain(`${claimed.bounds[disk]!.bound} bytes are claimed`);
  });
});

describe("a stack of equal blocks in one tier of memory", () => {
  it.each([
    { layers: 3, ring: 2, pinned: [] },
    { layers: 4, ring: 2, pinned: [] },
    { layers: 4, ring: 3, pinned: [] },
    { layers: 4, ring: 2, pinned: ["L01"] },
    { layers: 5, ring: 2, pinned: ["L00", "L03"] },
    { layers: 5, ring: 3, pinned: ["L02"] },
    { layers: 5, ring: 2, pinned: ["L00", "L01", "L02"] },
  ])("$layers layers, $ring slots, $pinned pinned: loads as little as any policy", (one) => {
    const { layers, ring, pinned } = one;
    const variant = wholeBlocks({ layers });
    const { blocks, norm } = variant.units;
    const streaming = blocks.filter((unit) => !pinned.includes(unit));
    const plan = planWithShape(variant, shapeOf(variant, { ring, pinned: [norm, ...pinned] }));
    const cycle = upAndDown(streaming).map((unit) => ({ unit, bytes: 1 }));
    expect(blockLoads(plan, "disk")).toBe(leastBytes(cycle, ring));
    expect(blockLoads(plan, "disk")).toBe(2 * Math.max(0, layers - pinned.length - ring));
    expect(excess(plan, "disk")).toBe(0);

    expect(verify(plan)).toEqual([]);
  });
});

describe("a stack of equal blocks in two tiers of memory", () => {
  /** Copies and reads of a plan with so many slots of vram, and places of ram that units take turns in. */
  function inTurn(layers: number, ring: number, inRam: number): Plan {
    const variant = wholeBlocks({ layers, vram: 2 ** 34 });
    const { byId, classes, norm } = variant.units;
    const [unitClass, members] = [...classes][0]!;
    const to = byId.get(members[0]!)!.bytes;
    const ramRings = inRam === 0 ? [] : [{ unitClass, from: 0, to, slots: inRam }];
    return planWithShape(variant, shapeOf(variant, { ring, pinned: [norm], ramRings, passing: 1 }));
  }

  const layersRingAndRam = [2, 3, 4, 5].flatMap((layers) =>
    [1, 2].flatMap((ring) =>
      Array.from({ length: Math.max(0, layers - 2 * ring + 1) }, (_, inRam) => ({ layers, ring, inRam })),
    ),
  );

  it.each(layersRingAndRam)(
    "$layers layers, $ring slots of vram, $inRam of ram: copies and reads as little as any policy, and as the bounds",
    ({ layers, ring, inRam }) => {
      const plan = inTurn(layers, ring, inRam);
      const cycle = upAndDown(blocksOf(plan));
      const unitBytes = cycle.map((unit) => ({ unit, bytes: 1 }));
      expect(blockLoads(plan, "h2d")).toBe(leastBytes(unitBytes, ring));
      expect(blockLoads(plan, "disk")).toBe(leastReads(cycle, ring, inRam));
      expect([excess(plan, "h2d"), excess(plan, "disk")]).toEqual([0, 0]);
      expect(verify(plan)).toEqual([]);
    },
  );

  it("of many layers too: 2(L − k_v) copies and 2(L − k_v − k_r) reads", () => {
    const variety = fc
      .record({ layers: fc.integer({ min: 6, max: 16 }), ring: fc.constantFrom(1, 2, 3) })
      .chain((one) => fc.nat({ max: one.layers - 2 * one.ring }).map((inRam) => ({ ...one, inRam })));
    fc.assert(
      fc.property(variety, ({ layers, ring, inRam }) => {
        const plan = inTurn(layers, ring, inRam);
        expect(blockLoads(plan, "h2d")).toBe(2 * (layers - ring));
        expect(blockLoads(plan, "disk")).toBe(2 * (layers - ring - inRam));
        expect([excess(plan, "h2d"), excess(plan, "disk")]).toEqual([0, 0]);
      }),
      { seed: 7, numRuns: 20 },
    );
  });

  it("down to single tensors: each range of a unit's bytes reads 2(L − k_v − k_r) times its size", () => {
    const variant = wholeBlocks({ layers: 7, vram: 2 ** 34 });
    const { byId, classes, norm } = variant.units;
    const [unitClass, members] = [...classes][0]!;
    const { bytes, parts } = byId.get(members[0]!)!;
    const cut = parts.find(({ tensor }) => tensor.includes("gate_proj"))!.at;
    const ramRings = [
      { unitClass, from: 0, to: cut, slots: 2 },
      { unitClass, from: cut, to: bytes, slots: 1 },
    ];
    const plan = planWithShape(variant, shapeOf(variant, { ring: 2, pinned: [norm], ramRings, passing: 1 }));
    const read = plan.programs["train-step"].steady.reduce(
      (sum, one) => (one.kind === "read" && one.unit.startsWith("L") ? sum + one.bytes : sum),
      0,
    );
    expect(read).toBe(2 * (7 - 2 - 2) * cut + 2 * (7 - 2 - 1) * (bytes - cut));
    expect([excess(plan, "h2d"), excess(plan, "disk")]).toEqual([0, 0]);
    expect(verify(plan)).toEqual([]);
  });

  it.each([
    { layers: 5, ring: 2, inRam: ["L02"] },
    { layers: 5, ring: 1, inRam: ["L01", "L02", "L03"] },
    { layers: 4, ring: 2, inRam: ["L00", "L01", "L02", "L03", "head/0", "head/1"] },
  ])("$layers layers, $ring slots of vram, $inRam always in ram: as little as any policy", (one) => {
    const { layers, ring, inRam } = one;
    const variant = wholeBlocks({ layers, vram: 2 ** 34 });
    const shape = { ring, pinned: [variant.units.norm], ramPinned: inRam, passing: 1 };
    const plan = planWithShape(variant, shapeOf(variant, shape));
    const inRamBlocks = inRam.filter((unit) => unit.startsWith("L")).length;
    expect(blockLoads(plan, "disk")).toBe(leastReads(upAndDown(blocksOf(plan)), ring, inRamBlocks));
    expect([excess(plan, "h2d"), excess(plan, "disk")]).toEqual([0, 0]);
    expect(verify(plan)).toEqual([]);
  });
});

describe("the window bound", () => {
  const sized = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 });
  const unit = (index: number) => "abcd"[index]!;

  it("is never above what the best policy loads, for units of any size in any order", () => {
    const scenario = sized.chain((sizes) =>
      fc.record({
        sizes: fc.constant(sizes),
        order: fc.array(fc.nat({ max: sizes.length - 1 }), { minLength: 1, maxLength: 7 }),
        room: fc.nat({ max: 6 }),
      }),
    );
    let proved = 0;
    fc.assert(
      fc.property(scenario, ({ sizes, order, room }) => {
        const cycle = order.map((index): Sized => ({ unit: unit(index), bytes: sizes[index]! }));
        const capacity = Math.max(...cycle.map(({ bytes }) => bytes)) + room;
        const { bytes } = windowBound(cycle, () => capacity, true);
        const best = leastBytes(cycle, capacity);
        expect(bytes).toBeLessThanOrEqual(best + 1e-9);
        if (bytes > 0) proved++;
      }),
      { seed: 3, numRuns: 150 },
    );
    expect(proved).toBeGreaterThan(40);
  });

  it("is what the best policy loads, for equal units up and down", () => {
    for (let count = 2; count <= 5; count++) {
      for (let slots = 1; slots < count; slots++) {
        const units = Array.from({ length: count }, (_, index) => `L${index}`);
        const cycle = upAndDown(units).map((one) => ({ unit: one, bytes: 3 }));
        expect(windowBound(cycle, () => 3 * slots, true).bytes).toBe(leastBytes(cycle, 3 * slots));
      }
    }
  });
});

describe("the simulated step in one tier of memory", () => {
  /** Only blocks cost time: a load τ, a forward f, a backward b; all micro-batches at once. */
  const costs = (load: number, forward: number, backward: number) => (one: Instruction) => {
    if (one.kind === "read" && one.unit.startsWith("L")) return one.id.match(/\/[12]$/) ? load / 2 : load;
    if (one.id.startsWith("fwd/")) return forward;
    return one.id.startsWith("bwd/") ? backward : 0;
  };

  it("is the closed form: each sweep as long as its computation, or as its loads between two blocks", () => {
    const times = fc.integer({ min: 1, max: 50 });
    const scenario = fc.record({
      layers: fc.integer({ min: 3, max: 7 }),
      ring: fc.constantFrom(2, 3),
      load: times.map((half) => 2 * half),
      forward: times,
      backward: times,
    });
    const plans = new Map<string, Plan>();
    const planOf = (layers: number, ring: number) => {
      const key = `${layers} ${ring}`;
      const variant = wholeBlocks({ layers, batch: 1 });
      const pinned = [variant.units.norm, ...variant.units.head.map(({ unit }) => unit)];
      const plan = plans.get(key) ?? planWithShape(variant, shapeOf(variant, { ring, pinned }));
      plans.set(key, plan);
      return plan;
    };
    fc.assert(
      fc.property(scenario, ({ layers, ring, load, forward, backward }) => {
        const { steady } = planOf(layers, ring).programs["train-step"];
        const loads = Math.max(0, layers - ring) * load;
        const sweep = (block: number) => Math.max(layers * block, loads > 0 ? loads + 2 * block : 0);
        const { duration } = simulate(steady, costs(load, forward, backward));
        expect(duration).toBe(sweep(forward) + sweep(backward));
      }),
      { seed: 5, numRuns: 300 },
    );
  });
});
