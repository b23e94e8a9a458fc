/** A CUDA device and the machine around it as a hardware profile: `lema probe --backend cuda` but its words and files. */
import { totalmem } from "node:os";
import { type DeviceBackend, nativeDevice } from "../../runtime/addon.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import { bytes } from "../../schemas/units.ts";
import {
  bandwidthOf,
  type MeasuredCall,
  matrixRate,
  measureCalls,
  memoryBandwidth,
} from "./measure-calls.ts";
import type { ProbeEffort, ProbeOptions } from "./measure-machine.ts";
import { measureProfile } from "./measure-profile.ts";
import { measureSubmission } from "./measure-submission.ts";
import { measureTransfers } from "./measure-transfers.ts";
import { deviceNumbers, samplePlans } from "./sample-models.ts";
import { DEVICE_SHAPES } from "./sample-shapes.ts";

const MEBIBYTE = 2 ** 20;
/** Node, its heap, the engine's threads, and the host's part of the CUDA context, rounded up. */
const RAM_RESERVE = 1024 * MEBIBYTE;
/** Of what is free on the device, the part that samples may take beside the copy that holds them back. */
const SHARE = 0.8;

/** How much is measured of a device. */
export interface DeviceEffort extends ProbeEffort {
  /** Bytes that the optimizer on the host goes through: a step's state is more than the caches of a server hold. */
  readonly hostFootprint: number;
}

export const DEVICE_EFFORTS: Readonly<Record<"quick" | "thorough", DeviceEffort>> = {
  quick: {
    seconds: 10,
    passes: 1,
    dwell: 0.1,
    footprint: 128 * MEBIBYTE,
    hostFootprint: 1024 * MEBIBYTE,
    shapes: DEVICE_SHAPES.slice(0, -1),
    transfers: { count: 16, bytes: 64 * MEBIBYTE, rows: 256 },
  },
  thorough: {
    seconds: 60,
    passes: 3,
    dwell: 0.2,
    footprint: 128 * MEBIBYTE,
    hostFootprint: 1024 * MEBIBYTE,
    shapes: DEVICE_SHAPES,
    transfers: { count: 32, bytes: 64 * MEBIBYTE, rows: 2048 },
  },
};

/** Throws `run.no-device`. */
export async function measureDevice(
  backend: DeviceBackend,
  { directory, threads, effort, plansFor, onProgress }: ProbeOptions<DeviceEffort>,
): Promise<HardwareProfile> {
  const device = nativeDevice(backend);
  onProgress("disk and copies");
  const { disk, h2d, d2h, deviceReserve } = await measureTransfers(directory, effort.transfers, backend);
  const submission = await measureSubmission(backend);
  onProgress("compiling what is timed");
  const numbers = deviceNumbers(device.capability);
  const vram = Math.floor(SHARE * device.freeBytes);
  const samples = samplePlans(effort.shapes, { hardware: UNMEASURED_DEVICE, numbers, vram });
  onProgress("timing the optimizer on the host");
  // Its kernels are the cpu backend's, on as many threads.
  const hostCalls = await measureCalls(samples.slice(-1), {
    ...effort,
    seconds: 0,
    footprint: effort.hostFootprint,
    backend: "cpu",
    lane: "host",
    threads,
    onProgress: () => {},
  });
  const onShare = (share: number): void => onProgress(`timing ops ${Math.floor(100 * share)} %`);
  const how = { ...effort, backend, lane: "compute", threads, onProgress: onShare } as const;
  const computesBf16 = numbers.some(({ precision }) => precision === "bf16");
  const profileOf = (calls: readonly MeasuredCall[]): HardwareProfile => ({
    name: "probed",
    source: `lema probe on ${device.name} (sm_${device.capability})`,
    compute: {
      kind: "cuda",
      threads: null,
      matrix_rate: {
        f32: matrixRate(calls, "f32"),
        ...(computesBf16 && { bf16: matrixRate(calls, "bf16") }),
        f16: matrixRate(calls, "f16"),
      },
      memory_bandwidth: memoryBandwidth(calls),
      submission,
      calls: [...calls],
      dtypes: computesBf16 ? ["f32", "bf16", "f16"] : ["f32", "f16"],
    },
    disk,
    links: { h2d_bandwidth: h2d, d2h_bandwidth: d2h, pinned: true },
    host: { threads, memory_bandwidth: bandwidthOf("adamw", hostCalls), calls: [...hostCalls] },
    memory: { ram: wholeMebibytes(totalmem()), vram: wholeMebibytes(device.totalBytes) },
    reserve: {
      ram: bytes(RAM_RESERVE),
      vram: bytes(Math.ceil(deviceReserve / MEBIBYTE) * MEBIBYTE),
    },
  });
  return measureProfile({
    samples,
    plansFor,
    profileOf,
    footprint: effort.footprint,
    measure: (plans, footprint) => measureCalls(plans, { ...how, footprint }),
  });
}

const wholeMebibytes = (size: number) => bytes(Math.floor(size / MEBIBYTE) * MEBIBYTE);

/** Some device to compile the samples for; none of its figures reaches a call. */
export const UNMEASURED_DEVICE = unmeasured();

function unmeasured(): HardwareProfile {
  const { profile } = parseHardware(
    `
name: unmeasured
compute: {kind: cuda, matrix_rate: {f32: 1 GFLOP/s, bf16: 1 GFLOP/s, f16: 1 GFLOP/s}, memory_bandwidth: 1 GB/s}
disk: {bandwidth: 1 GB/s, latency_ns: 1, direct_io: true}
links: {h2d_bandwidth: 1 GB/s, d2h_bandwidth: 1 GB/s, pinned: true}
memory: {ram: 1024 GiB, vram: 1024 GiB}
reserve: {ram: 0, vram: 0}
`,
    { file: "unmeasured" },
  );
  invariant(profile, "the profile to compile samples on is refused");
  return profile;
}
