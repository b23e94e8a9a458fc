import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../runtime/crc32c.ts";
import { EventFile, maskedCrc } from "../../runtime/tensorboard.ts";
import { scratch } from "./helpers.ts";

describe("crc32c", () => {
  it.each([
    ["thirty-two zeros", new Uint8Array(32), 0x8a91_36aa],
    ["thirty-two ones", new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    ["0 to 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd_794e],
    ["the check string", Buffer.from("123456789"), 0xe306_9283],
  ])("has the published value of %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

describe("EventFile", () => {
  it("writes records that decode to the events", async () => {
    const directory = await scratch();
    const events = await EventFile.create(directory, 301, new Date(1_700_000_000_250));
    await events.scalars(
      301,
      { "train/loss": 2.5, "train/learning_rate": 1e-4 },
      new Date(1_700_000_001_000),
    );
    const [name] = await readdir(directory);
    expect(name).toMatch(/^events\.out\.tfevents\.1700000000\..+\.\d+\.0$/);
    const [version, session, scalars, ...rest] = records(await readFile(join(directory, name!))).map(decode);
    expect(rest).toEqual([]);
    expect(version).toEqual({ 1: 1_700_000_000.25, 3: "brain.Event:2" });
    expect(session).toEqual({ 1: 1_700_000_000.25, 2: 301, 7: "\u0008\u0001" });
    expect(scalars).toMatchObject({ 1: 1_700_000_001, 2: 301 });
    const values = repeated(Buffer.from(scalars![5] as string, "latin1")).map((value) => decode(value));
    expect(values).toEqual([
      { 1: "train/loss", 2: 2.5 },
      { 1: "train/learning_rate", 2: Math.fround(1e-4) },
    ]);
  });
});

/** Payloads of TFRecords, both checksums compared. */
function records(file: Buffer): Buffer[] {
  const payloads: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const payload = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 8)).toBe(maskedCrc(file.subarray(at, at + 8)));
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedCrc(payload));
    payloads.push(payload);
    at += 16 + length;
  }
  return payloads;
}

/** Field number → value; nested messages and strings as latin-1 text. */
function decode(message: Buffer): Record<number, number | string> {
  return Object.fromEntries(fields(message));
}

/** The values of repeated field 1. */
function repeated(message: Buffer): Buffer[] {
  return fields(message).map(([, value]) => Buffer.from(value as string, "latin1"));
}

function fields(message: Buffer): [number, number | string][] {
  const found: [number, number | string][] = [];
  let at = 0;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const number = key >>> 3;
    switch (key & 7) {
      case 0:
        found.push([number, varint()]);
        break;
      case 1:
        found.push([number, message.readDoubleLE(at)]);
        at += 8;
        break;
      case 2: {
        const length = varint();
        found.push([number, message.toString("latin1", at, at + length)]);
        at += length;
        break;
      }
      case 5:
        found.push([number, message.readFloatLE(at)]);
        at += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7}`);
    }
  }
  return found;
}
