/** What counts as the same model: logits that rounding explains, and an adapter that survives it. */
import { describe, expect, it } from "vitest";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import type { DType } from "../../schemas/ops/define-op.ts";
import { type MergeSide, type OpenedSide, verifyMerge } from "../../workflow/verify-merge.ts";

const VOCABULARY = 50;

/** Logits that depend on the tokens of a run, moved by `shift` in every third place. */
function model(shift: number, dtype: DType, closed: () => void): OpenedSide {
  const feed = async (tokens: readonly number[]): Promise<Float32Array> => {
    const sum = tokens.reduce((a, b) => a + b, 0);
    return Float32Array.from({ length: VOCABULARY }, (_, id) => {
      return Math.sin(id * 1.7 + sum) + (id % 3 === 0 ? shift : 0);
    });
  };
  const session = { capacity: 40, vocabulary: VOCABULARY, feed, close: async () => closed() };
  return { session, dtypes: ["f32", dtype] };
}

async function verify(shifts: Readonly<Record<MergeSide, number>>, dtype: DType = "f32") {
  const opened: MergeSide[] = [];
  let open = 0;
  const check = verifyMerge(async (side) => {
    expect(open++).toBe(0);
    opened.push(side);
    return model(shifts[side], dtype, () => open--);
  });
  await check.catch(() => undefined);
  expect([open, opened.length]).toEqual([0, 3]);
  return check;
}

const codesOf = async (promise: Promise<unknown>): Promise<readonly string[]> => {
  const error: unknown = await promise.catch((thrown) => thrown);
  return error instanceof DiagnosticError ? error.diagnostics.map(({ code }) => code) : [];
};

describe("verifyMerge", () => {
  it("measures the distance to base and adapter, and what the adapter does, one model after the other", async () => {
    const check = await verify({ unmerged: 0, base: 0.5, merged: 0 });
    expect(check).toMatchObject({
      positions: 3,
      difference: 0,
      agreeing: 3,
      tolerance: 1e-4,
      diagnostics: [],
    });
    // Half in 17 of 50 places, beside 50 sines.
    expect(check.effect).toBeCloseTo(Math.sqrt((17 * 0.25) / 25), 1);
  });

  it("allows what rounding to the stored dtype explains, and no more", async () => {
    const shifts = { unmerged: 0, base: 1, merged: 0.01 };
    expect((await verify(shifts, "bf16")).difference).toBeGreaterThan(1e-3);
    expect(await codesOf(verify(shifts, "f32"))).toEqual(["merge.differs"]);
    expect(await codesOf(verify({ ...shifts, merged: 0.5 }, "bf16"))).toEqual(["merge.differs"]);
    expect(await codesOf(verify({ ...shifts, merged: Number.NaN }, "bf16"))).toEqual(["merge.differs"]);
  });

  it("warns of an adapter that does no more than rounding", async () => {
    const { diagnostics } = await verify({ unmerged: 0, base: 0.02, merged: 0.01 }, "bf16");
    expect(diagnostics).toMatchObject([{ code: "merge.rounded-away", severity: "warning" }]);
  });
});
