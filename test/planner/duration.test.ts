/** Times of calls: the roofline, and what measured calls say about calls like them. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { callWork } from "../../planner/cost/call-work.ts";
import { costModel, gatherNs } from "../../planner/cost/duration.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import type { PlanCall } from "../../schemas/plan.ts";

const OVERHEAD = 3000;

function profileWith(calls: NonNullable<HardwareProfile["compute"]["calls"]>): HardwareProfile {
  const { profile } = parseHardware(
    `
name: test
compute:
  kind: cpu
  threads: 2
  matrix_rate: {f32: 100 GFLOP/s, bf16: 200 GFLOP/s}
  memory_bandwidth: 10 GB/s
  calls: ${JSON.stringify(calls)}
disk: {bandwidth: 1 GB/s, latency_ns: 100000, direct_io: true}
memory: {ram: 64 GiB}
reserve: {ram: 0 B}
`,
    { file: "test" },
  );
  return profile!;
}

function product(rows: number, depth: number, columns: number, dtype: "f32" | "bf16" = "f32"): PlanCall {
  const operand = (shape: number[], own: "f32" | "bf16") => ({ formal: "f", offset: 0, shape, dtype: own });
  return {
    op: "linear",
    operands: {
      x: operand([1, rows, depth], dtype),
      w: operand([columns, depth], "f32"),
      y: operand([1, rows, columns], "f32"),
    },
    attributes: { alpha: 1, row_tile: 512, column_tile: 512, f16_factors: 0 },
    workspace: null,
  };
}

const timeOf = (call: PlanCall, profile: HardwareProfile, lane: "compute" | "host" = "compute"): number =>
  costModel([], profile, 1).call(call, lane);

function measuredAs(call: PlanCall, ns: number): NonNullable<HardwareProfile["compute"]["calls"]>[number] {
  const { product: dtype, ...work } = callWork(call, "cpu");
  return { ...work, product: dtype!, ns };
}

const roofline = profileWith([]);

it("counts what is added to as read and as written", () => {
  const call = product(64, 32, 16);
  const plain = callWork(call, "cpu");
  expect(plain).toEqual({
    op: "linear",
    product: "f32",
    flops: 2 * 64 * 32 * 16,
    read: 4 * (64 * 32 + 16 * 32),
    written: 4 * 64 * 16,
    width: 32,
  });
  const { y, ...rest } = call.operands;
  const added = callWork({ ...call, operands: { ...rest, y: { ...y!, accumulate: true } } }, "cpu");
  expect(added.read).toBe(plain.read + plain.written);
});

it("without measured calls a call takes its roofline", () => {
  expect(timeOf(product(1000, 1000, 1000), roofline)).toBeCloseTo(OVERHEAD + 2e9 / 100);
  expect(timeOf(product(1000, 1000, 1000, "bf16"), roofline)).toBeCloseTo(OVERHEAD + 2e9 / 200);
  // Bound by memory: one column.
  expect(timeOf(product(1000, 1000, 1), roofline)).toBeCloseTo(OVERHEAD + (4 * (1e6 + 1000 + 1000)) / 10);
});

it("a measured call takes what it took", () => {
  const call = product(128, 256, 512);
  const other = product(512, 512, 512);
  const profile = profileWith([measuredAs(call, 1_234_567), measuredAs(other, 9_876_543)]);
  expect(timeOf(call, profile) / 1_234_567).toBeCloseTo(1, 3);
  expect(timeOf(other, profile) / 9_876_543).toBeCloseTo(1, 3);
});

it("tells apart calls that differ in their row length alone, where the profile does", () => {
  // Four heads of 32 and two heads of 64 are the same work by operations; what is written says nearly the same.
  const heads = (count: number, size: number): PlanCall => {
    const operand = (shape: number[], dtype: "f32" | "i32" = "f32") => {
      return { formal: "f", offset: 0, shape, dtype };
    };
    const head = operand([1, 64, count, size]);
    const operands = {
      q: head,
      k: head,
      v: head,
      segment_start: operand([1, 64], "i32"),
      o: head,
      log_sum_exp: operand([1, count, 64]),
    };
    return { op: "attention", operands, attributes: { scale: 1 }, workspace: null };
  };
  const asMeasured = (call: PlanCall, ns: number) => {
    const { product: _, ...work } = callWork(call, "cpu");
    return { ...work, ns };
  };
  const narrow = asMeasured(heads(8, 32), 200_000);
  const wide = asMeasured(heads(2, 128), 50_000);
  const [told, untold] = [[narrow, wide], [narrow, wide].map(({ width: _, ...call }) => call)].map((calls) =>
    [heads(16, 32), heads(4, 128)].map((call) => {
      return timeOf(call, profileWith(calls)) / timeOf(call, roofline);
    }),
  );
  const ratio = ([first, second]: readonly number[]): number => first! / second!;
  expect(ratio(told!)).toBeGreaterThan(2 * ratio(untold!));
});

it("another op, another product dtype and the host's lane keep their roofline", () => {
  const call = product(128, 256, 512);
  const profile = profileWith([measuredAs(call, 100_000_000)]);
  const add: PlanCall = {
    op: "add",
    operands: Object.fromEntries(
      ["a", "b", "y"].map((name) => [name, { formal: name, offset: 0, shape: [1000], dtype: "f32" }]),
    ),
    attributes: {},
    workspace: null,
  };
  expect(timeOf(add, profile)).toBe(timeOf(add, roofline));
  const half = product(128, 256, 512, "bf16");
  expect(timeOf(half, profile)).toBe(timeOf(half, roofline));
  expect(timeOf(call, profile, "host")).toBe(timeOf(call, roofline, "host"));
});

it("between and beyond measured shapes, no call is slower or faster than the extremes of what was measured", () => {
  const size = fc.integer({ min: 1, max: 4096 });
  const shape = fc.tuple(size, size, size);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(shape, fc.double({ min: 0.2, max: 20, noNaN: true })), {
        minLength: 1,
        maxLength: 6,
      }),
      shape,
      (points, wanted) => {
        const slowdowns = points.map(([at, slowdown]) => {
          const base = timeOf(product(...at), roofline);
          const call = measuredAs(product(...at), Math.max(1, Math.round(base * slowdown)));
          return { call, slowdown: call.ns / base };
        });
        const profile = profileWith(slowdowns.map(({ call }) => call));
        const found = timeOf(product(...wanted), profile) / timeOf(product(...wanted), roofline);
        const all = slowdowns.map(({ slowdown }) => slowdown);
        expect(found).toBeGreaterThanOrEqual(Math.min(...all) * (1 - 1e-9));
        expect(found).toBeLessThanOrEqual(Math.max(...all) * (1 + 1e-9));
      },
    ),
    { numRuns: 100 },
  );
});

it("counts a read for each gathered row, and one for many where the table is small beside them", () => {
  const table = (rows: number): number => 4096 * rows;
  const [latency, kilobyte] = [100_000, 1000];
  // Four reads are in flight, and each byte takes a nanosecond.
  expect(gatherNs({ rows: 8, bytes: 64 * kilobyte, table: table(9) }, roofline)).toBe(
    (8 / 4) * latency + table(9),
  );
  expect(gatherNs({ rows: 8, bytes: 64 * kilobyte, table: table(8) }, roofline)).toBe(latency / 4 + table(8));
  expect(gatherNs({ rows: 64, bytes: 64 * kilobyte, table: table(64) }, roofline)).toBe(
    (4 / 4) * latency + 64 * kilobyte,
  );
});
