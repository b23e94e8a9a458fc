/** Rates of the disk below a directory and of copies between arenas, through the engine's own lanes. */
import { mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Backend, openEngine } from "../../runtime/addon.ts";
import { median } from "./median.ts";
import { arenaOf } from "./time-calls.ts";
import { FILE, fileBytes, ROW_BYTES, type TransferSizes, transferPlan } from "./transfer-plan.ts";

export interface MeasuredTransfers {
  readonly disk: { readonly bandwidth: number; readonly latency_ns: number; readonly direct_io: boolean };
  /** Bytes a second from ram to vram, which on a cpu is emulated, and back. */
  readonly h2d: number;
  readonly d2h: number;
  /** Bytes in use on the device beside the arena, by whomever: the context and what a run needs. */
  readonly deviceReserve: number;
}

/** Reads that the disk lane keeps in flight for single rows; see native/io/disk.cc. */
const READS_IN_FLIGHT = 4;

/** Writes a file of `sizes` below `directory`, reads it past the page cache, and takes it away. */
export async function measureTransfers(
  directory: string,
  sizes: TransferSizes,
  backend: Backend,
): Promise<MeasuredTransfers> {
  const own = await mkdtemp(join(directory, ".lema-probe-"));
  const engine = openEngine({ backend, serialLanes: false, diskThrottle: null });
  try {
    const path = join(own, FILE);
    await writeFile(path, fileBytes(sizes));
    const plan = transferPlan(sizes, arenaOf(backend));
    const loaded = await engine.load(plan, new Map([[FILE, path]]));
    const run = async (program: "train-step" | "evaluate" | "checkpoint") => {
      await engine.run({ program, part: "steady" });
      return engine.trace().map(({ lane, start, end }) => ({ lane, ns: end! - start }));
    };
    const reads = await run("train-step");
    const [gather] = await run("evaluate");
    const bandwidth = sizes.bytes / median(reads.map(({ ns }) => ns));
    const copies = await run("checkpoint");
    const copyRate = (wanted: string): number =>
      perSecond(sizes.bytes / median(copies.filter(({ lane }) => lane === wanted).map(({ ns }) => ns)));
    // A row is the share of one read of its length: what its bytes take is not latency.
    const perRow = (READS_IN_FLIGHT * gather!.ns) / sizes.rows - (2 * ROW_BYTES) / bandwidth;
    return {
      disk: {
        bandwidth: perSecond(bandwidth),
        latency_ns: Math.max(1, Math.round(perRow)),
        direct_io: loaded.directIo,
      },
      h2d: copyRate("h2d"),
      d2h: copyRate("d2h"),
      deviceReserve: Math.max(0, loaded.deviceBytesAfter - loaded.vramBytes),
    };
  } finally {
    engine.close();
    await rm(own, { recursive: true, force: true });
  }
}

const perSecond = (bytesPerNanosecond: number): number => Math.round(bytesPerNanosecond * 1e9);

/** On the disk before it is read: a file that is still being written measures the writing. */
async function writeFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, "w");
  try {
    const chunk = Buffer.alloc(2 ** 24);
    // No two pages alike, and not the word that a disk may store as a hole.
    for (let at = 0; at < chunk.length; at += 4)
      chunk.writeUInt32LE((Math.imul(at, 2654435761) >>> 2) | 1, at);
    for (let left = bytes; left > 0; left -= chunk.length) {
      await file.write(chunk, 0, Math.min(left, chunk.length));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
