import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  parseSafetensorsHeader,
  readSafetensorsHeader,
  SAFETENSORS_DTYPES,
} from "../../models/safetensors.ts";
import { layoutSafetensors, safetensorsHeader, writeSafetensors } from "../../models/safetensors-writer.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { codesOf, diagnosticsOf, scratch } from "./helpers.ts";

const dtypes = Object.keys(SAFETENSORS_DTYPES) as (keyof typeof SAFETENSORS_DTYPES)[];

/** A header's bytes after the length field. */
const json = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const parse = (header: Uint8Array, dataBytes: number) =>
  parseSafetensorsHeader(header, 8 + header.length + dataBytes, "x.safetensors");
const f32 = (shape: number[], begin: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe("parseSafetensorsHeader", () => {
  it("gives absolute offsets, in the order of the bytes", () => {
    const header = json({
      __metadata__: { format: "pt" },
      b: f32([2, 2], 4, 20),
      a: f32([], 0, 4),
      empty: f32([0, 7], 20, 20),
    });
    const { tensors, metadata, dataOffset } = parse(header, 20);
    expect(dataOffset).toBe(8 + header.length);
    expect([...metadata]).toEqual([["format", "pt"]]);
    expect([...tensors.values()]).toEqual([
      { name: "a", dtype: "F32", shape: [], offset: dataOffset, bytes: 4 },
      { name: "b", dtype: "F32", shape: [2, 2], offset: dataOffset + 4, bytes: 16 },
      { name: "empty", dtype: "F32", shape: [0, 7], offset: dataOffset + 20, bytes: 0 },
    ]);
  });

  it("accepts a name that is a property of Object", () => {
    const header = json('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}');
    expect([...parse(header, 1).tensors.keys()]).toEqual(["__proto__"]);
  });

  const a = f32([1], 0, 4);
  it.each<[string, unknown, number, string]>([
    ["leading space", ' {"a":1}', 0, "weights.bad-header"],
    ["not JSON", "{", 0, "weights.bad-header"],
    ["not an object", "[]", 0, "weights.bad-header"],
    ["a repeated name", `{"a":${JSON.stringify(a)},"a":${JSON.stringify(a)}}`, 4, "weights.bad-header"],
    ["an entry that is no object", { a: 1 }, 0, "weights.bad-header"],
    ["an unknown field", { a: { ...a, extra: 1 } }, 4, "weights.bad-header"],
    ["a missing dtype", { a: { shape: [1], data_offsets: [0, 4] } }, 4, "weights.bad-header"],
    ["an unknown dtype", { a: { ...a, dtype: "F33" } }, 4, "weights.unknown-dtype"],
    ["a dtype from Object's prototype", { a: { ...a, dtype: "toString" } }, 4, "weights.unknown-dtype"],
    ["a negative dimension", { a: { ...a, shape: [-1, -1] } }, 4, "weights.bad-header"],
    [
      "a fractional dimension",
      '{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}',
      4,
      "weights.bad-header",
    ],
    ["three offsets", { a: { ...a, data_offsets: [0, 4, 8] } }, 4, "weights.bad-header"],
    ["metadata that is no object", { __metadata__: [], a }, 4, "weights.bad-header"],
    ["metadata that is no string", { __metadata__: { n: 1 }, a }, 4, "weights.bad-header"],
    ["a shape that needs other bytes", { a: { ...a, shape: [2] } }, 4, "weights.bad-layout"],
    ["an end before the begin", { a: { ...a, shape: [0], data_offsets: [4, 0] } }, 4, "weights.bad-layout"],
    ["a hole", { a, b: f32([1], 8, 12) }, 12, "weights.bad-layout"],
    ["a hole at the start", { a: f32([1], 4, 8) }, 8, "weights.bad-layout"],
    ["an overlap", { a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8, "weights.bad-layout"],
    ["the same bytes twice", { a, b: f32([1], 0, 4) }, 4, "weights.bad-layout"],
    ["too little data", { a }, 3, "weights.truncated"],
    ["too much data", { a }, 5, "weights.trailing-bytes"],
  ])("refuses %s", async (_, header, dataBytes, code) => {
    expect(await codesOf(() => parse(json(header), dataBytes))).toEqual([code]);
  });

  it("computes sizes without overflow", async () => {
    // 2^32 · 2^32 elements: zero in 64-bit arithmetic, and beyond what a double can count.
    const wraps = json({ a: { dtype: "U8", shape: [2 ** 32, 2 ** 32], data_offsets: [0, 0] } });
    expect(await codesOf(() => parse(wraps, 0))).toEqual(["weights.bad-layout"]);
    const rounds = json(
      '{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,9007199254740992]}}',
    );
    expect(await codesOf(() => parse(rounds, 0))).toEqual(["weights.bad-layout"]);
    const huge = json(
      '{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}',
    );
    expect(await codesOf(() => parse(huge, 0))).toEqual(["weights.bad-header"]);
    const emptyAndHuge = json('{"a":{"dtype":"U8","shape":[0,18446744073709551615],"data_offsets":[0,0]}}');
    expect(await codesOf(() => parse(emptyAndHuge, 0))).toEqual(["weights.bad-header"]);
  });

  it("answers every corrupted header with tensors that cover the file, or with a diagnostic", () => {
    const header = json({ __metadata__: { a: "b" }, w: f32([2, 3], 0, 24), v: f32([5], 24, 34, "BF16") });
    const edit = fc.record({
      at: fc.nat({ max: header.length - 1 }),
      remove: fc.nat({ max: 3 }),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 3 }),
        fc.constantFrom("0", "9", ",", "}", '"', "e").map(json),
      ),
    });
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 3 }), fc.integer({ min: -2, max: 2 }), (edits, size) => {
        const bytes = edits.reduce(
          (text, { at, remove, insert }) =>
            Buffer.concat([text.subarray(0, at), insert, text.subarray(at + remove)]),
          Buffer.from(header),
        );
        try {
          const { tensors, dataOffset } = parse(bytes, 34 + size);
          let end = dataOffset;
          for (const { offset, bytes: length, shape, dtype } of tensors.values()) {
            expect(offset).toBe(end);
            expect(length).toBe(shape.reduce((x, y) => x * y, SAFETENSORS_DTYPES[dtype]));
            end += length;
          }
          expect(end).toBe(8 + bytes.length + 34 + size);
          accepted++;
        } catch (error) {
          if (!(error instanceof DiagnosticError)) throw error;
          expect(error.diagnostics.every(({ code }) => code.startsWith("weights."))).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

describe("readSafetensorsHeader", () => {
  const length = (value: bigint): Buffer => {
    const field = Buffer.alloc(8);
    field.writeBigUInt64LE(value);
    return field;
  };

  it.each<[string, Buffer, string]>([
    ["an empty file", Buffer.alloc(0), "weights.truncated"],
    ["half a length field", Buffer.alloc(7), "weights.truncated"],
    ["a header cut short", Buffer.concat([length(100n), Buffer.from('{"a"')]), "weights.truncated"],
    ["a header beyond 100 MB", Buffer.concat([length(100_000_001n), Buffer.alloc(8)]), "weights.bad-header"],
    ["a length of 2^64 − 1", Buffer.concat([length(2n ** 64n - 1n), Buffer.alloc(8)]), "weights.bad-header"],
    ["a header of no bytes", length(0n), "weights.bad-header"],
  ])("refuses %s", async (_, bytes, code) => {
    const path = join(await scratch(), "x.safetensors");
    await writeFile(path, bytes);
    const [diagnostic] = await diagnosticsOf(() => readSafetensorsHeader(path));
    expect(diagnostic).toMatchObject({ code, where: { file: path }, hint: expect.any(String) });
  });

  it("reports what it cannot read", async () => {
    const directory = await scratch();
    expect(await codesOf(() => readSafetensorsHeader(join(directory, "absent")))).toEqual([
      "weights.unreadable",
    ]);
    expect(await codesOf(() => readSafetensorsHeader(directory))).toEqual(["weights.unreadable"]);
  });
});

describe("the writer", () => {
  const anyTensor = fc.record({
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
  });

  it("writes what the reader reads", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), anyTensor, { maxKeys: 6 }),
        fc.dictionary(fc.string(), fc.string()),
        (named, metadata) => {
          fc.pre(
            ![...Object.keys(named), ...Object.keys(metadata)].some((name) =>
              /\p{Surrogate}|^__/u.test(name),
            ),
          );
          const specs = Object.entries(named).map(([name, tensor]) => ({ name, ...tensor }));
          const layout = layoutSafetensors(specs, metadata);
          expect(layout.header.length % 8).toBe(0);
          const read = parseSafetensorsHeader(layout.header.subarray(8), layout.fileBytes, "x");
          expect(new Set(read.tensors.values())).toEqual(new Set(layout.tensors));
          expect(Object.fromEntries(read.metadata)).toEqual({ ...metadata });
        },
      ),
    );
  });

  it("sorts by descending dtype, then by the bytes of the name, whatever order it is given", () => {
    // The order of safetensors 0.8.0: save_file of these dtypes and names.
    const names = ["a", "b", "é", "\uff5e", "\u{1f600}"];
    const order = ["U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E8M0"];
    order.push("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL");
    const expected = order.flatMap((dtype) => names.map((name) => `${dtype} ${name}`));
    const specs = names.flatMap((name) =>
      dtypes.map((dtype) => ({ name: `${dtype} ${name}`, dtype, shape: [2] })),
    );
    expect(layoutSafetensors(specs).tensors.map(({ name }) => name)).toEqual(expected);
  });

  it("rewrites a file of the reference implementation byte for byte", async () => {
    const path = "test/golden/parity/base/adapter/adapter_model.safetensors";
    const original = await readFile(path);
    const { tensors, metadata } = await readSafetensorsHeader(path);
    const copy = join(await scratch(), "copy.safetensors");
    const data = [...tensors.values()].toReversed().map((tensor) => ({
      ...tensor,
      data: [
        original.subarray(tensor.offset, tensor.offset + 3),
        original.subarray(tensor.offset + 3, tensor.offset + tensor.bytes),
      ],
    }));
    const layout = await writeSafetensors(copy, data, Object.fromEntries(metadata));
    expect((await readFile(copy)).equals(original)).toBe(true);
    expect(original.subarray(0, layout.header.length)).toEqual(
      Buffer.from(safetensorsHeader(data, Object.fromEntries(metadata))),
    );
  });

  it("leaves nothing behind when the data is not what was announced", async () => {
    const directory = await scratch();
    const write = writeSafetensors(join(directory, "x.safetensors"), [
      { name: "a", dtype: "U8", shape: [4], data: [Uint8Array.of(1, 2, 3)] },
    ]);
    await expect(write).rejects.toThrow("tensor a has 3 bytes instead of 4");
    expect(await readdir(directory)).toEqual([]);
  });

  it("refuses the same name twice", () => {
    const tensor = { name: "a", dtype: "U8", shape: [1] } as const;
    expect(() => layoutSafetensors([tensor, tensor])).toThrow("used twice");
  });
});
