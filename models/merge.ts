/**
 * Base + adapter as one model: W + scaling · B·A for every adapted weight, all others as they are.
 *
 * The sum is computed in float32 or better and rounded once, to nearest with ties to even, into the dtype it is stored
 * in. Weights are read, merged and written in pieces of whole rows, so memory holds one piece and one module's factors.
 */
import { type FileHandle, open } from "node:fs/promises";
import { invariant } from "../schemas/diagnostic.ts";
import { alignUp } from "../schemas/units.ts";
import { readFactor } from "./adapter-file.ts";
import type { AdapterModules, LoraModule } from "./adapter-modules.ts";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";
import { decodeFloats, encodeFloats, type FloatDType } from "./float-codec.ts";
import { allLlamaTensors, storageDType } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { refuse } from "./refuse.ts";
import { readExactly, type SafetensorsDType, unreadable } from "./safetensors.ts";
import type { StreamedTensor } from "./safetensors-writer.ts";

export interface MergeSource {
  /** `checkLlamaTensors` found no error in it. */
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  /** Null: the base alone, in another dtype or other files. */
  readonly adapter: AdapterModules | null;
}

export interface MergeOptions {
  /** Null: each weight in the dtype that the base stores it in. */
  readonly dtype: FloatDType | null;
  readonly onBytes?: (bytes: number) => void;
}

/** Largest piece of a tensor in memory, unless one row is larger. */
const PIECE_BYTES = 4 * 2 ** 20;

const NAMES: Readonly<Record<FloatDType, SafetensorsDType>> = { f32: "F32", f16: "F16", bf16: "BF16" };

/** Least magnitude that rounds to infinity: the midpoint above the largest finite number. */
const LIMITS: Readonly<Record<FloatDType, number>> = {
  f32: Infinity,
  f16: 65520,
  bf16: (2 - 2 ** -8) * 2 ** 127,
};

/**
 * The merged model's weights, in the order of the model. Reading them throws `weights.non-finite`, `weights.overflow`,
 * `weights.unreadable` and `adapter.wrong-tensors`.
 */
export function mergedTensors(
  { checkpoint, config, adapter }: MergeSource,
  { dtype, onBytes }: MergeOptions,
): StreamedTensor[] {
  const names = new Set(allLlamaTensors(config).map(({ name }) => name));
  const unused = [...(adapter?.modules.keys() ?? [])].find((name) => !names.has(name));
  invariant(unused === undefined, `no weight takes the adapter's ${unused}`);
  const paths = new Map(checkpoint.files.map(({ id, path }) => [id, path]));
  return [...names].map((name) => {
    const tensor = checkpoint.tensors.get(name);
    const stored = tensor && storageDType(tensor.dtype);
    invariant(tensor && isFloat(stored), `${name} was not checked`);
    const target = dtype ?? stored;
    const module = adapter?.modules.get(name) ?? null;
    const job = {
      tensor,
      stored,
      target,
      module,
      path: paths.get(tensor.file)!,
      adapter: adapter?.path ?? "",
    };
    return { name, shape: tensor.shape, dtype: NAMES[target], data: pieces(job, onBytes) };
  });
}

interface Job {
  readonly tensor: CheckpointTensor;
  readonly stored: FloatDType;
  readonly target: FloatDType;
  readonly module: LoraModule | null;
  readonly path: string;
  /** Path of the adapter's weight file. */
  readonly adapter: string;
}

async function* pieces(job: Job, onBytes: MergeOptions["onBytes"]): AsyncGenerator<Uint8Array> {
  const { tensor, stored, target, module, path } = job;
  const file = await open(path, "r").catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const factors = module && (await readFactors(module, job.adapter));
    const rows = tensor.shape[0] ?? 1;
    const rowBytes = tensor.bytes / rows;
    const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      const bytes = await readExactly(file, tensor.offset + first * rowBytes, count * rowBytes, path);
      onBytes?.(bytes.length);
      if (factors === null && stored === target) {
        yield bytes;
        continue;
      }
      const values = decodeFloats(bytes, stored);
      if (factors !== null) addProduct(values, first, factors);
      checkRange(values, job);
      yield encodeFloats(values, target);
    }
  } finally {
    await file.close();
  }
}

/** The factors in float64, with zeros up to a multiple of `LANES` ranks. */
interface Factors {
  readonly ranks: number;
  readonly scaling: number;
  /** [ranks, inputs] */
  readonly a: Float64Array;
  /** [outputs, ranks] */
  readonly b: Float64Array;
}

/** Ranks in one pass over a row: it is read and written once for all of them. */
const LANES = 4;

async function readFactors({ rank, scaling, a, b }: LoraModule, path: string): Promise<Factors> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const ranks = alignUp(rank, LANES);
    const [outputs, inputs] = [b.shape[0]!, a.shape[1]!];
    const wideA = new Float64Array(ranks * inputs);
    wideA.set(await readFactor(file, a, path));
    const wideB = new Float64Array(outputs * ranks);
    const values = await readFactor(file, b, path);
    for (let row = 0; row < outputs; row++)
      wideB.set(values.subarray(row * rank, (row + 1) * rank), row * ranks);
    return { ranks, scaling, a: wideA, b: wideB };
  } finally {
    await file?.close();
  }
}

/**
 * values [n, inputs] += scaling · B[first … first + n, ranks] · A [ranks, inputs]. Products are exact, sums are rounded
 * to float64, the result to float32.
 */
function addProduct(values: Float32Array, first: number, { ranks, scaling, a, b }: Factors): void {
  const inputs = a.length / ranks;
  const sum = new Float64Array(inputs);
  for (let row = 0; row < values.length / inputs; row++) {
    sum.fill(0);
    for (let rank = 0; rank < ranks; rank += LANES) {
      const at = (first + row) * ranks + rank;
      const [b0, b1, b2, b3] = [b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!];
      const a0 = rank * inputs;
      const [a1, a2, a3] = [a0 + inputs, a0 + 2 * inputs, a0 + 3 * inputs];
      for (let i = 0; i < inputs; i++)
        sum[i]! += b0 * a[a0 + i]! + b1 * a[a1 + i]! + b2 * a[a2 + i]! + b3 * a[a3 + i]!;
    }
    const begin = row * inputs;
    for (let i = 0; i < inputs; i++) values[begin + i]! += scaling * sum[i]!;
  }
}

/** Throws `weights.non-finite` and `weights.overflow`. */
export function checkRange(
  values: Float32Array,
  { tensor, target, path }: Pick<Job, "tensor" | "target" | "path">,
): void {
  const limit = LIMITS[target];
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (Math.abs(value) < limit) continue;
    if (!Number.isFinite(value)) refuse("weights.non-finite", path, `${tensor.name} holds NaN or infinity`);
    const what = `${tensor.name} holds ${value}, which ${NAMES[target]} cannot hold`;
    refuse("weights.overflow", path, what, "choose a wider type: bf16 or f32");
  }
}

function isFloat(dtype: string | undefined): dtype is FloatDType {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}
