/**
 * A model laid out for streaming, and back: one file with the units in their order of use, or shards as others write
 * them. Bytes of tensors do not change; memory use is that of one piece.
 */
import { join } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { layoutAligned } from "./aligned-layout.ts";
import { type Checkpoint, openCheckpoint, SINGLE_FILE } from "./checkpoint.ts";
import { digestCheckpoint } from "./digest.ts";
import { llamaOuterTensors, llamaTensors } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { mergedTensors } from "./merge.ts";
import { writeModelFiles } from "./model-files.ts";
import { writeDirectory } from "./output-directory.ts";
import { writeLayout } from "./safetensors-writer.ts";
import { bytesOf, writeShards } from "./shards.ts";

export type FileLayout =
  | { readonly type: "aligned" }
  | { readonly type: "shards"; readonly maxShardBytes: number };

export interface PrepareOptions {
  /** `checkLlamaTensors` found no error in it. */
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  readonly layout: FileLayout;
  readonly output: string;
  /** Where the source's digests are kept; null: nowhere. */
  readonly cacheDirectory: string | null;
  readonly onProgress: (stage: "digesting" | "writing" | "checking", share: number) => void;
}

export interface Prepared {
  readonly files: readonly string[];
  readonly bytes: number;
  /** Bytes of padding, header included. */
  readonly padding: number;
}

/**
 * Writes the model to `output` and compares the digest of every tensor with the source's. Throws `output.*` and
 * `weights.*`; then nothing has been written.
 */
export async function prepareModel(options: PrepareOptions): Promise<Prepared> {
  const { checkpoint, config, layout, output, cacheDirectory, onProgress } = options;
  const shareOf =
    (stage: Parameters<typeof onProgress>[0]) =>
    ({ bytes, total }: { readonly bytes: number; readonly total: number }): void =>
      onProgress(stage, bytes / Math.max(1, total));
  const expected = await digestCheckpoint(checkpoint, {
    cacheDir: cacheDirectory,
    onProgress: shareOf("digesting"),
  });
  const total = checkpoint.files.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
    shareOf("writing")({ bytes, total });
  };
  return writeDirectory(output, total, async (directory) => {
    const tensors = mergedTensors({ checkpoint, config, adapter: null }, { dtype: null, onBytes });
    const prepared =
      layout.type === "shards"
        ? { ...(await writeShards(directory, tensors, layout.maxShardBytes)), padding: 0 }
        : await writeAligned(join(directory, SINGLE_FILE), tensors, config);
    await writeModelFiles(checkpoint, directory, { dtype: null, chatTemplate: null });
    const written = await openCheckpoint(directory);
    const actual = await digestCheckpoint(written, { cacheDir: null, onProgress: shareOf("checking") });
    const other = tensors.find(({ name }) => actual.tensors.get(name) !== expected.tensors.get(name));
    if (other !== undefined) throw changed(checkpoint.directory, other.name);
    return prepared;
  });
}

async function writeAligned(
  path: string,
  tensors: ReturnType<typeof mergedTensors>,
  config: LlamaConfig,
): Promise<Prepared> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const units = unitsInOrder(config).map((names) => names.map((name) => byName.get(name)!));
  const layout = layoutAligned(units);
  const fill = layout.tensors.filter(({ name }) => layout.padding.includes(name));
  await writeLayout(
    path,
    layout,
    new Map([
      ...tensors.map(({ name, data }) => [name, data] as const),
      ...fill.map(({ name, bytes }) => [name, [new Uint8Array(bytes)]] as const),
    ]),
  );
  const bytes = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  return { files: [SINGLE_FILE], bytes, padding: layout.fileBytes - bytes };
}

/** Names of the tensors of each unit, in the order in which a forward pass uses them. */
function unitsInOrder(config: LlamaConfig): string[][] {
  const { embedding, norm, head } = llamaOuterTensors(config);
  const blocks = Array.from({ length: config.layers }, (_, layer) =>
    Object.values(llamaTensors(config, layer)).map(({ name }) => name),
  );
  return [[embedding.name], ...blocks, [norm.name], ...(config.tiedEmbeddings ? [] : [[head.name]])];
}

function changed(directory: string, name: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("weights.changed", {
      summary: `${name} of ${directory} is not, as written, what it was when it was digested`,
      where: { file: directory },
      hint: "the model changed meanwhile, or a disk is failing; run the command again",
    }),
  );
}
