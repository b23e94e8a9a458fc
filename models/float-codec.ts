/**
 * float32 ↔ the storage dtypes of weights, as little-endian bytes. Widening is exact; narrowing rounds to nearest,
 * ties to even, as PyTorch does.
 */
import { invariant } from "../schemas/diagnostic.ts";
import type { DType } from "../schemas/ops/define-op.ts";

export type FloatDType = Extract<DType, "f32" | "f16" | "bf16">;

/** Dense little-endian elements → float32. `bytes.length` must be a whole number of elements. */
export function decodeFloats(bytes: Uint8Array, dtype: FloatDType): Float32Array {
  // A copy, because typed arrays need aligned memory. Not `slice`: a Buffer's shares its memory.
  const { buffer } = new Uint8Array(bytes);
  if (dtype === "f32") return new Float32Array(buffer);
  const halves = new Uint16Array(buffer);
  const bits = new Int32Array(halves.length);
  const widen = dtype === "bf16" ? widenBF16 : widenF16;
  for (let index = 0; index < halves.length; index++) bits[index] = widen(halves[index]!);
  return new Float32Array(bits.buffer);
}

/** float32 → dense little-endian elements. */
export function encodeFloats(values: Float32Array, dtype: FloatDType): Uint8Array {
  invariant(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, "lema runs on little-endian machines only");
  // Signed, because engines keep no unsigned integers of 32 bits: those become doubles.
  const bits = new Int32Array(values.slice().buffer);
  if (dtype === "f32") return new Uint8Array(bits.buffer);
  const narrow = dtype === "bf16" ? narrowBF16 : narrowF16;
  // A loop: `Uint16Array.from` calls through an iterator and takes ten times as long.
  const halves = new Uint16Array(bits.length);
  for (let index = 0; index < bits.length; index++) halves[index] = narrow(bits[index]!);
  return new Uint8Array(halves.buffer);
}

function widenBF16(half: number): number {
  return half << 16;
}

function narrowBF16(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal: fraction · 2^−24 is a normal float32.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function narrowF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  // 65520 is the midpoint between the largest half and the next power of two.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude >= 0x3880_0000) return sign | roundShift(magnitude - (112 << 23), 13);
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  return sign | roundShift((magnitude & 0x7f_ffff) | 0x80_0000, shift);
}

/** value / 2^shift to nearest, ties to even. A carry out of the fraction moves into the exponent, as it should. */
function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}
