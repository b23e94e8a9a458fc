/** 32 well mixed bits of two numbers: multiply and shift rounds as in MurmurHash3's finalizer (Appleby, public domain). */
export function mix(a: number, b: number): number {
  let x = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  x = Math.imul(x ^ (x >>> 16), 0x2c1b3c6d);
  return x ^ (x >>> 13);
}
