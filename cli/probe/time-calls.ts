/** Runs calls on the engine, which times each of them. */
import { openEngine } from "../../runtime/addon.ts";
import type { DType } from "../../schemas/ops/define-op.ts";
import type { PlanCall } from "../../schemas/plan.ts";
import { type CallPlan, callPlan } from "./call-plan.ts";

/**
 * Nanoseconds of every round, call by call: one round to touch the memory and to let the threads find their cores, then
 * as many as begin within `seconds`.
 */
export async function timeCalls(
  calls: readonly PlanCall[],
  { threads, seconds }: { readonly threads: number; readonly seconds: number },
): Promise<readonly (readonly number[])[]> {
  const { plan, sources } = callPlan(calls, threads);
  const engine = openEngine({ backend: "cpu", serialLanes: false, diskThrottle: null });
  const times = calls.map((): number[] => []);
  try {
    await engine.load(plan, new Map());
    for (const source of sources) {
      engine.writeTensor({ buffer: source.buffer, offset: 0 }, plausibleBytes(source));
    }
    const began = performance.now();
    for (let round = 0; round <= 1 || performance.now() - began < 1000 * seconds; round++) {
      await engine.run({ program: "train-step", part: "steady" });
      if (round === 0) continue;
      for (const [index, { start, end }] of engine.trace().entries()) times[index]!.push(end! - start);
    }
    return times;
  } finally {
    engine.close();
  }
}

/** Sign and exponent of plus and minus 0.25…0.5, and any mantissa: plain numbers, as activations are. */
const PATTERNS: Readonly<Record<Exclude<DType, "i32">, { bytes: number; fixed: bigint; free: bigint }>> = {
  f64: { bytes: 8, fixed: 0x3fd0_0000_0000_0000n, free: 0x800f_ffff_ffff_ffffn },
  f32: { bytes: 4, fixed: 0x3e80_0000n, free: 0x807f_ffffn },
  bf16: { bytes: 2, fixed: 0x3e80n, free: 0x807fn },
  f16: { bytes: 2, fixed: 0x3400n, free: 0x83ffn },
};
const BLOCK = 2 ** 16;

/** Integers stay zero: one segment, every token supervised, nothing skipped. */
function plausibleBytes({ dtype, bytes }: CallPlan["sources"][number]): Uint8Array {
  const out = new Uint8Array(bytes);
  if (dtype === "i32") return out;
  const { bytes: size, fixed, free } = PATTERNS[dtype];
  const block = Buffer.alloc(BLOCK);
  let state = 1n;
  for (let at = 0; at < BLOCK; at += size) {
    // Knuth's MMIX generator; its upper bits are the random ones.
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    let value = fixed | ((state >> BigInt(64 - 8 * size)) & free);
    for (let byte = 0; byte < size; byte++, value >>= 8n) block[at + byte] = Number(value & 0xffn);
  }
  for (let at = 0; at < bytes; at += BLOCK) out.set(block.subarray(0, Math.min(BLOCK, bytes - at)), at);
  return out;
}
