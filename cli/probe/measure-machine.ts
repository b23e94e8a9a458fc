/** This machine as a hardware profile: the whole of `lema probe` but its words and files. */
import { availableParallelism, totalmem } from "node:os";
import { moduleInfo } from "../../runtime/addon.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { bytes } from "../../schemas/units.ts";
import {
  type Effort,
  type MeasuredCall,
  matrixRate,
  measureCalls,
  memoryBandwidth,
} from "./measure-calls.ts";
import { measureProfile } from "./measure-profile.ts";
import { measureTransfers } from "./measure-transfers.ts";
import { CPU_NUMBERS, samplePlans } from "./sample-models.ts";
import { SAMPLE_SHAPES, type SampleShape } from "./sample-shapes.ts";
import type { TransferSizes } from "./transfer-plan.ts";

export interface ProbeEffort extends Effort {
  readonly shapes: readonly SampleShape[];
  readonly transfers: TransferSizes;
}

export interface ProbeOptions<E extends ProbeEffort = ProbeEffort> {
  /** Whose disk is measured. */
  readonly directory: string;
  readonly threads: number;
  readonly effort: E;
  /** Plans whose calls are timed besides those of the made-up models, made for the machine as these describe it. */
  readonly plansFor: (profile: HardwareProfile) => Promise<readonly Plan[]>;
  readonly onProgress: (text: string) => void;
}

const MEBIBYTE = 2 ** 20;
/** Node, its heap and the engine's threads, rounded up. */
const RESERVE = 256 * MEBIBYTE;

/** As in training: the arenas of small models, which have small calls, lie in the caches, and those of large ones do not. */
const OWN_ARENA = 0;

export const EFFORTS: Readonly<Record<"quick" | "thorough", ProbeEffort>> = {
  quick: {
    seconds: 10,
    passes: 1,
    dwell: 0.4,
    footprint: OWN_ARENA,
    shapes: SAMPLE_SHAPES.slice(0, -1),
    transfers: { count: 8, bytes: 16 * MEBIBYTE, rows: 256 },
  },
  thorough: {
    seconds: 60,
    passes: 3,
    dwell: 0.4,
    footprint: OWN_ARENA,
    shapes: SAMPLE_SHAPES,
    transfers: { count: 64, bytes: 16 * MEBIBYTE, rows: 2048 },
  },
};

export const defaultThreads = (): number => availableParallelism();

export async function measureMachine(options: ProbeOptions): Promise<HardwareProfile> {
  const { directory, threads, plansFor, effort, onProgress } = options;
  onProgress("disk and copies");
  const { disk, h2d, d2h } = await measureTransfers(directory, effort.transfers, "cpu");
  onProgress("compiling what is timed");
  const samples = samplePlans(effort.shapes, {
    hardware: unmeasured(threads),
    numbers: CPU_NUMBERS,
    vram: null,
  });
  const onShare = (share: number): void => onProgress(`timing ops ${Math.floor(100 * share)} %`);
  const how = { ...effort, backend: "cpu", lane: "compute", threads, onProgress: onShare } as const;
  const ram = Math.floor(totalmem() / MEBIBYTE);
  const profileOf = (calls: readonly MeasuredCall[]): HardwareProfile => ({
    name: "probed",
    source: `lema probe on ${moduleInfo().device}, ${threads} threads`,
    compute: {
      kind: "cpu",
      threads,
      // A cpu widens fp16 weights to float32.
      matrix_rate: {
        f32: matrixRate(calls, "f32"),
        bf16: matrixRate(calls, "bf16"),
        f16: matrixRate(calls, "f32"),
      },
      memory_bandwidth: memoryBandwidth(calls),
      calls: [...calls],
      dtypes: ["f32", "bf16", "f16"],
    },
    disk,
    // An emulated vram is a part of the same memory.
    links: { h2d_bandwidth: h2d, d2h_bandwidth: d2h, pinned: false },
    memory: { ram: bytes(ram * MEBIBYTE), vram: bytes((ram >> 1) * MEBIBYTE) },
    reserve: { ram: bytes(RESERVE), vram: bytes(0) },
  });
  return measureProfile({
    samples,
    plansFor,
    profileOf,
    footprint: effort.footprint,
    measure: (plans, footprint) => measureCalls(plans, { ...how, footprint }),
  });
}

/** Some profile to compile the samples on; of its figures only the threads reach a call (as scratch). */
function unmeasured(threads: number): HardwareProfile {
  const { profile } = parseHardware(
    `
name: unmeasured
compute: {kind: cpu, threads: ${threads}, matrix_rate: {f32: 1 GFLOP/s, bf16: 1 GFLOP/s, f16: 1 GFLOP/s}, memory_bandwidth: 1 GB/s}
disk: {bandwidth: 1 GB/s, latency_ns: 1, direct_io: true}
memory: {ram: 1024 GiB}
reserve: {ram: 0}
`,
    { file: "unmeasured" },
  );
  invariant(profile, "the profile to compile samples on is refused");
  return profile;
}
