/** Runs the calls of a step on the engine, which times each of them. */
import { type Backend, type Engine, openEngine } from "../../runtime/addon.ts";
import type { DType } from "../../schemas/ops/define-op.ts";
import type { Plan, PlanCall } from "../../schemas/plan.ts";
import { type CallPlan, callPlan } from "./call-plan.ts";

export interface TimedCall {
  readonly call: PlanCall;
  /** Nanoseconds of every round. */
  readonly times: readonly number[];
}

/** Which calls of a step are timed, and on what. */
export interface CallSite {
  readonly backend: Backend;
  readonly lane: "compute" | "host";
  readonly threads: number;
}

/**
 * One round to touch the memory and to let the threads find their cores, then as many as begin within `seconds`.
 * `footprint`: bytes of memory that a round goes through at least; see {@link callPlan}.
 */
export async function timeCalls(
  step: Plan,
  options: CallSite & { readonly seconds: number; readonly footprint: number },
): Promise<readonly TimedCall[]> {
  const { backend, threads, footprint, lane } = options;
  const target = arenaOf(backend);
  const { plan, calls, sources } = callPlan(step, { threads, footprint, lane, target });
  const engine = openEngine({ backend, serialLanes: false, diskThrottle: null });
  const times = new Map(calls.map((call) => [call, [] as number[]]));
  try {
    await engine.load(plan, new Map());
    writeFloats(engine, sources);
    const began = performance.now();
    for (let round = 0; round <= 1 || performance.now() - began < 1000 * options.seconds; round++) {
      writeIntegers(engine, sources);
      await engine.run({ program: "train-step", part: "steady" });
      if (round === 0) continue;
      const runs = engine.trace().filter((span) => span.lane === "compute");
      for (const [index, { start, end }] of runs.entries()) {
        times.get(calls[index]!)!.push(end! - start);
      }
    }
    return [...times].map(([call, own]) => ({ call, times: own }));
  } finally {
    engine.close();
  }
}

/** Where a backend computes. */
export const arenaOf = (backend: Backend): "ram" | "vram" =>
  backend === "cuda" || backend === "cuda-emulated" ? "vram" : "ram";

/** Numbers of which no step, however often it is repeated, makes an infinity: nothing is skipped because of one. */
export function writeFloats(engine: Engine, sources: CallPlan["sources"]): void {
  for (const { at, dtype, bytes } of sources) {
    if (dtype !== "i32") engine.writeTensor(at, plausibleBytes(dtype, bytes));
  }
}

/** Zeros: one segment, every token supervised. Before each round, since floats may have lain there since. */
export function writeIntegers(engine: Engine, sources: CallPlan["sources"]): void {
  for (const { at, dtype, bytes } of sources) {
    if (dtype === "i32") engine.writeTensor(at, new Uint8Array(bytes));
  }
}

/** Sign and exponent of 1/64…1/32, and any mantissa: as large as weights, and positive, as second moments are. */
const PATTERNS: Readonly<Record<Exclude<DType, "i32">, { bytes: number; fixed: bigint; free: bigint }>> = {
  f64: { bytes: 8, fixed: 0x3f90_0000_0000_0000n, free: 0x000f_ffff_ffff_ffffn },
  f32: { bytes: 4, fixed: 0x3c80_0000n, free: 0x007f_ffffn },
  bf16: { bytes: 2, fixed: 0x3c80n, free: 0x007fn },
  f16: { bytes: 2, fixed: 0x2400n, free: 0x03ffn },
};
const BLOCK = 2 ** 16;

const blocks = new Map(
  Object.entries(PATTERNS).map(([dtype, pattern]) => [dtype as DType, blockOf(pattern)]),
);

function plausibleBytes(dtype: DType, bytes: number): Uint8Array {
  const block = blocks.get(dtype)!;
  const out = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += BLOCK) out.set(block.subarray(0, Math.min(BLOCK, bytes - at)), at);
  return out;
}

function blockOf({ bytes, fixed, free }: (typeof PATTERNS)["f32"]): Buffer {
  const block = Buffer.alloc(BLOCK);
  let state = 1n;
  for (let at = 0; at < BLOCK; at += bytes) {
    // Knuth's MMIX generator; its upper bits are the random ones.
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    let value = fixed | ((state >> BigInt(64 - 8 * bytes)) & free);
    for (let byte = 0; byte < bytes; byte++, value >>= 8n) block[at + byte] = Number(value & 0xffn);
  }
  return block;
}
