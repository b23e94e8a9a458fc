/**
 * Models whose shape is known without their files, for `plan --dry-run`: a config of `known-shape-configs.ts`, and the
 * tensors it implies laid out as one safetensors file.
 */
import { type Diagnostic, diagnostic, invariant } from "../schemas/diagnostic.ts";
import { nearest } from "../schemas/suggest.ts";
import { type CheckpointTensor, SINGLE_FILE } from "./checkpoint.ts";
import type { JsonObject } from "./field-reader.ts";
import { SHAPE_CONFIGS } from "./known-shape-configs.ts";
import { allLlamaTensors } from "./llama.ts";
import { readLlamaConfig } from "./llama-config.ts";
import type { SafetensorsDType } from "./safetensors.ts";
import { layoutSafetensors } from "./safetensors-writer.ts";

export interface KnownShape {
  /** The first of the model's Hub ids. */
  readonly id: string;
  /** As config.json holds it. */
  readonly config: JsonObject;
  readonly file: { readonly id: string; readonly bytes: number };
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

const DTYPES: Readonly<Record<string, SafetensorsDType>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/** Every id that `knownShape` answers to. */
export function knownShapeIds(): readonly string[] {
  return SHAPE_CONFIGS.flatMap(({ ids }) => ids);
}

/** The shape of a Hub id (letter case does not matter), or undefined. */
export function knownShape(id: string): KnownShape | undefined {
  const wanted = id.toLowerCase();
  const shape = SHAPE_CONFIGS.find(({ ids }) => ids.some((known) => known.toLowerCase() === wanted));
  if (!shape) return undefined;
  const { config } = readLlamaConfig(shape.config, shape.ids[0]);
  invariant(config, `the known shape ${shape.ids[0]} has no valid config`);
  const dtype = DTYPES[String(shape.config.torch_dtype)];
  invariant(dtype, `the known shape ${shape.ids[0]} has no dtype`);
  const layout = layoutSafetensors(
    allLlamaTensors(config).map((tensor) => ({ ...tensor, dtype })),
    { format: "pt" },
  );
  return {
    id: shape.ids[0],
    config: shape.config,
    file: { id: SINGLE_FILE, bytes: layout.fileBytes },
    tensors: new Map(layout.tensors.map((tensor) => [tensor.name, { ...tensor, file: SINGLE_FILE }])),
  };
}

/** For a dry run of a model that is neither a directory nor known. */
export function unknownShape(id: string): Diagnostic {
  const close = nearest(id, knownShapeIds());
  return diagnostic("model.not-found", {
    summary: `${id} is neither a model directory nor a known shape`,
    where: { file: "recipe", path: "model" },
    hint:
      close === undefined
        ? `known shapes: ${SHAPE_CONFIGS.map(({ ids }) => ids[0]).join(", ")}`
        : `did you mean ${close}?`,
  });
}

/** For work that needs weights, of a model whose shape alone is known. */
export function onlyShape(id: string): Diagnostic {
  return diagnostic("model.not-found", {
    summary: `${id} is not a directory here, and only its shape is known`,
    where: { file: "recipe", path: "model" },
    hint: `\`lema pull ${id}\` fetches it, to be named by its directory; with --dry-run its shape is enough`,
  });
}
