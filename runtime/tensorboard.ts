/**
 * A TensorBoard event file: TFRecord framing around `Event` protobufs, both written by hand because they are this small.
 *
 *     record   length u64 · masked CRC-32C of it · payload · masked CRC-32C of it          (little-endian)
 *     Event    wall_time = 1 double · step = 2 int64 · file_version = 3 · summary = 5 · session_log = 7
 *     Summary  value = 1 { tag = 1 string · simple_value = 2 float }
 *
 * https://github.com/tensorflow/tensorflow: core/lib/io/record_writer.h, core/util/event.proto, core/framework/summary.proto
 */
import { appendFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { crc32c } from "./crc32c.ts";

const FILE_VERSION = "brain.Event:2";
/** `SessionLog.START`: TensorBoard drops what earlier files of the run say about this step and later ones. */
const SESSION_START = 1;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export class EventFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Begins a file in `directory`; `firstStep` is the first step that this process will do. */
  static async create(directory: string, firstStep: number, now: Date): Promise<EventFile> {
    const seconds = Math.floor(now.getTime() / 1000);
    const path = join(directory, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.0`);
    const wall = wallTime(now);
    const version = message(wall, field(3, Buffer.from(FILE_VERSION)));
    const session = message(wall, integer(2, firstStep), field(7, integer(1, SESSION_START)));
    await writeFile(path, Buffer.concat([record(version), record(session)]));
    return new EventFile(path);
  }

  /** Appends one event with a value for each tag. */
  async scalars(step: number, values: Readonly<Record<string, number>>, now: Date): Promise<void> {
    const summary = Object.entries(values).map(([tag, value]) =>
      field(1, message(field(1, Buffer.from(tag)), float(2, value))),
    );
    const event = message(wallTime(now), integer(2, step), field(5, message(...summary)));
    await appendFile(this.#path, record(event));
  }
}

/** One framed record. */
export function record(payload: Uint8Array): Buffer {
  const framed = Buffer.alloc(8 + 4 + payload.length + 4);
  framed.writeBigUInt64LE(BigInt(payload.length), 0);
  framed.writeUInt32LE(maskedCrc(framed.subarray(0, 8)), 8);
  framed.set(payload, 12);
  framed.writeUInt32LE(maskedCrc(payload), 12 + payload.length);
  return framed;
}

/** TFRecord stores a rotated checksum, because the checksum of data that holds its own checksum is degenerate. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
}

const wallTime = (now: Date): Buffer => double(1, now.getTime() / 1000);

const message = (...fields: readonly Uint8Array[]): Buffer => Buffer.concat(fields);

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | WIRE.bytes), varint(bytes.length), bytes]);
}

function integer(number: number, value: number): Buffer {
  return Buffer.concat([varint((number << 3) | WIRE.varint), varint(value)]);
}

function float(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((number << 3) | WIRE.fixed32), bytes]);
}

function double(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([varint((number << 3) | WIRE.fixed64), bytes]);
}

/** Base-128, least significant group first; exact up to 2^53. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}
