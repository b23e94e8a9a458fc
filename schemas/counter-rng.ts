/**
 * Counter-based random numbers: the i-th number of a stream is a pure function of (seed, stream, i), so that nothing
 * depends on who draws first, how often, or on which machine. Integer arithmetic only.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The key is the
 * seed; the counter is the block index followed by the 64-bit FNV-1a hash of the stream's name.
 *
 * Example: `counterRandom(42, "model.layers.0.self_attn.q_proj.lora_A").float(7)`
 */
import { invariant } from "./diagnostic.ts";

export interface CounterRandom {
  /** The i-th number of the stream, uniform in [0, 2^32). */
  uint32(index: number): number;
  /** The i-th number of the stream, uniform in [0, 1): a multiple of 2^−24, exact in float32. */
  float(index: number): number;
  /** Writes numbers `from`, `from + 1`, … of the stream; the fast way to draw many. `from` must be a multiple of 4. */
  fill(target: Uint32Array, from: number): void;
}

/** The stream named `stream` of `seed`, a whole number in [0, 2^53). */
export function counterRandom(seed: number, stream: string): CounterRandom {
  invariant(Number.isSafeInteger(seed) && seed >= 0, `${seed} is not a seed`);
  const [seedLow, seedHigh] = split(seed);
  const hash = fnv1a64(stream);
  const streamLow = Number(hash & 0xffff_ffffn);
  const streamHigh = Number(hash >> 32n);
  const block = new Uint32Array(4);
  let held = -1;

  const load = (index: number): void => {
    if (index === held) return;
    const [low, high] = split(index);
    philox4x32(low, high, streamLow, streamHigh, seedLow, seedHigh, block, 0);
    held = index;
  };
  const uint32 = (index: number): number => {
    load(Math.floor(index / 4));
    return block[index % 4]!;
  };
  return {
    uint32,
    float: (index) => (uint32(index) >>> 8) * 2 ** -24,
    fill: (target, from) => {
      invariant(from % 4 === 0, `random numbers are drawn from ${from}, which is not a multiple of 4`);
      const whole = target.length - (target.length % 4);
      for (let at = 0; at < whole; at += 4) {
        const index = (from + at) / 4;
        const low = index >>> 0;
        const high = (index - low) / 2 ** 32;
        philox4x32(low, high, streamLow, streamHigh, seedLow, seedHigh, target, at);
      }
      for (let at = whole; at < target.length; at++) target[at] = uint32(from + at);
    },
  };
}

/** A uniformly random order of 0 … n − 1 (Fisher–Yates; rejection, so that no order is favoured). */
export function shuffle(n: number, seed: number, stream: string): Uint32Array {
  const random = counterRandom(seed, stream);
  const order = Uint32Array.from({ length: n }, (_, index) => index);
  let drawn = 0;
  for (let last = n - 1; last > 0; last--) {
    const choices = last + 1;
    const fair = 2 ** 32 - (2 ** 32 % choices);
    let draw = random.uint32(drawn++);
    while (draw >= fair) draw = random.uint32(drawn++);
    const chosen = draw % choices;
    const moved = order[last]!;
    order[last] = order[chosen]!;
    order[chosen] = moved;
  }
  return order;
}

/**
 * One block: four 32-bit words from a 128-bit counter and a 64-bit key, written to `out[at … at + 3]`. Exported for
 * the known-answer tests.
 */
export function philox4x32(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
  at: number,
): void {
  let c0 = counter0 | 0;
  let c1 = counter1 | 0;
  let c2 = counter2 | 0;
  let c3 = counter3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

/** The high 32 bits of the unsigned product, from four 16-bit products so that everything stays in 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aLow, bHigh) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const carry = (Math.imul(aHigh, bLow) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** [low 32 bits, high bits] of a whole number below 2^53. */
function split(value: number): [number, number] {
  const low = value >>> 0;
  return [low, (value - low) / 2 ** 32];
}

/** FNV-1a over the UTF-8 bytes (Fowler, Noll, Vo; IETF draft-eastlake-fnv). */
function fnv1a64(text: string): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  }
  return hash;
}
