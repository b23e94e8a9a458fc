/** Writes little-endian values into a buffer that grows. */
import { invariant } from "../schemas/diagnostic.ts";

const utf8 = new TextEncoder();

export class ByteWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u8(value: number): void {
    invariant(Number.isInteger(value) && value >= 0 && value <= 0xff, `${value} is not a byte`);
    const at = this.#take(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    invariant(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, `${value} does not fit 32 bits`);
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  /** A byte count or offset: exact up to 2^53. */
  u64(value: number): void {
    invariant(Number.isSafeInteger(value) && value >= 0, `${value} is not a byte count`);
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  f64(value: number): void {
    const at = this.#take(8);
    this.#view.setFloat64(at, value, true);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.byteLength);
    this.#bytes.set(value, at);
  }

  /** Length in bytes (u32), then UTF-8. */
  text(value: string): void {
    const encoded = utf8.encode(value);
    this.u32(encoded.byteLength);
    this.bytes(encoded);
  }

  /** Number of items (u32), then the items. */
  list<Item>(items: readonly Item[], write: (item: Item) => void): void {
    this.u32(items.length);
    for (const item of items) write(item);
  }

  /** What was written so far. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room first: buffer and view may be new afterwards. */
  #take(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(at + count, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + count;
    return at;
  }
}
