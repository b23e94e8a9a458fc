import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IGNORED } from "../../data/encode.ts";
import { fillRows, layOut, type PackedDataset, type PackingMethod } from "../../data/pack.ts";
import { rowSource } from "../../data/row-source.ts";
import { type Samples, SamplesBuilder, sampleLength } from "../../data/samples.ts";

const PAD = 99;

function samplesOf(list: { ids: number[]; labels: number[] }[]): Samples {
  const builder = new SamplesBuilder();
  for (const [i, sample] of list.entries()) builder.add({ ...sample, mergedBoundary: false }, i + 1);
  return builder.build();
}
const ofLengths = (lengths: number[]): Samples =>
  samplesOf(lengths.map((length) => ({ ids: new Array(length).fill(1), labels: new Array(length).fill(1) })));

const inOrder = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);
const pack = (samples: Samples, length: number, method: PackingMethod): PackedDataset =>
  fillRows(samples, layOut(samples, inOrder(samples.count), length, method), length, PAD);

const x = IGNORED;

describe("fillRows", () => {
  const two = samplesOf([
    { ids: [10, 11, 12], labels: [x, 11, 12] },
    { ids: [20, 21, 22, 23], labels: [20, x, 22, 23] },
  ]);

  it("lays two samples and padding into a row", () => {
    expect(pack(two, 9, "next-fit")).toEqual({
      sequenceLength: 9,
      rows: 1,
      tokens: Int32Array.of(10, 11, 12, 20, 21, 22, 23, PAD, PAD),
      // Label 20 would be predicted from another sample; 21 is not learned; the last of each segment predicts nothing.
      labels: Int32Array.of(11, 12, x, x, 22, 23, x, x, x),
      positions: Int32Array.of(0, 1, 2, 0, 1, 2, 3, 0, 1),
      segmentStart: Int32Array.of(0, 0, 0, 3, 3, 3, 3, 7, 7),
      supervised: Int32Array.of(4),
    });
  });

  it("pads one sample a row", () => {
    const { tokens, labels, segmentStart, supervised } = pack(two, 5, "one-per-row");
    expect([...tokens]).toEqual([10, 11, 12, PAD, PAD, 20, 21, 22, 23, PAD]);
    expect([...labels]).toEqual([11, 12, x, x, x, x, 22, 23, x, x]);
    expect([...segmentStart]).toEqual([0, 0, 0, 3, 3, 0, 0, 0, 0, 4]);
    expect([...supervised]).toEqual([2, 2]);
  });

  it("cuts a sample at the sequence length", () => {
    const { tokens, labels, supervised } = pack(two, 3, "one-per-row");
    expect([...tokens]).toEqual([10, 11, 12, 20, 21, 22]);
    expect([...labels]).toEqual([11, 12, x, x, 22, x]);
    expect([...supervised]).toEqual([2, 1]);
  });
});

describe("layOut", () => {
  it("keeps the order with next-fit", () => {
    const samples = ofLengths([3, 3, 1, 4, 2]);
    expect(layOut(samples, inOrder(5), 6, "next-fit")).toEqual([[0, 1], [2, 3], [4]]);
  });

  it("takes the longest first with best-fit decreasing, each into the fullest row that has room", () => {
    const samples = ofLengths([2, 5, 4, 1, 3]);
    // 5 | 4 | 3 opens a third row; 2 fills the row of 4, which is fuller than that of 3; 1 fills that of 5.
    expect(layOut(samples, inOrder(5), 6, "best-fit-decreasing")).toEqual([[1, 3], [2, 0], [4]]);
  });

  it("takes samples of equal length in the order given", () => {
    const samples = ofLengths([4, 4, 4]);
    expect(layOut(samples, Uint32Array.of(2, 0, 1), 6, "best-fit-decreasing")).toEqual([[2], [0], [1]]);
  });
});

describe("packed rows", () => {
  const sample = fc
    .array(fc.record({ id: fc.nat(90), learned: fc.boolean() }), { minLength: 1, maxLength: 12 })
    .map((tokens) => ({
      ids: tokens.map(({ id }) => id),
      labels: tokens.map(({ id, learned }) => (learned ? id : IGNORED)),
    }));
  const method = fc.constantFrom<PackingMethod>("one-per-row", "next-fit", "best-fit-decreasing");

  it("keep what the kernels rely on", () => {
    fc.assert(
      fc.property(fc.array(sample), fc.integer({ min: 1, max: 16 }), method, (list, length, how) => {
        const samples = samplesOf(list);
        const order = inOrder(samples.count);
        const layout = layOut(samples, order, length, how);
        // Each sample once, within the row.
        expect(layout.flat().sort((a, b) => a - b)).toEqual([...order]);
        const cut = (i: number): number => Math.min(sampleLength(samples, i), length);
        for (const row of layout) expect(row.reduce((sum, i) => sum + cut(i), 0)).toBeLessThanOrEqual(length);

        const packed = fillRows(samples, layout, length, PAD);
        for (let row = 0; row < packed.rows; row++) {
          const at = (array: Int32Array, t: number): number => array[row * length + t]!;
          let supervised = 0;
          for (let t = 0; t < length; t++) {
            const start = at(packed.segmentStart, t);
            expect(at(packed.positions, t)).toBe(t - start);
            expect(t === 0 ? start === 0 : start === t || start === at(packed.segmentStart, t - 1)).toBe(
              true,
            );
            const label = at(packed.labels, t);
            if (label === IGNORED) continue;
            supervised++;
            expect(at(packed.segmentStart, t + 1)).toBe(start);
            expect(label).toBe(at(packed.tokens, t + 1));
          }
          expect(packed.supervised[row]).toBe(supervised);
        }
        const { attendedPairs } = rowSource(samples, layout, {
          sequenceLength: length,
          padId: PAD,
          supervised: new Uint32Array(samples.count),
        });
        expect(attendedPairs).toBe(packed.positions.reduce((sum, position) => sum + position + 1, 0));
        // Every label of every sample arrives, but for first tokens and what was cut.
        const expected = list.reduce(
          (sum, { labels }) => sum + labels.slice(1, length).filter((l) => l !== IGNORED).length,
          0,
        );
        expect(packed.supervised.reduce((sum, count) => sum + count, 0)).toBe(expected);
      }),
    );
  });

  it("are more than half full, but for one", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 16 }), { maxLength: 60 }), (lengths) => {
        const samples = ofLengths(lengths);
        const rows = layOut(samples, inOrder(samples.count), 16, "best-fit-decreasing");
        const filled = rows.map((row) => row.reduce((sum, i) => sum + lengths[i]!, 0));
        // Two rows that are half empty would have become one.
        expect(filled.filter((tokens) => tokens <= 8).length).toBeLessThanOrEqual(1);
      }),
    );
  });
});
