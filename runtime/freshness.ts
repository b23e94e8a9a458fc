/**
 * A plan is fresh while every input is what it was when the plan was made: weights, config, tokenizer, data, starting
 * adapter. Digests are computed again, or found in the cache by path, size, time and inode.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { digestCheckpoint } from "../models/digest.ts";
import { unreadable } from "../models/safetensors.ts";
import { canonicalJson } from "../schemas/canonical-json.ts";
import { type Diagnostic, diagnostic } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";

/** What stands where the plan's inputs stood. */
export interface ActualInputs {
  /** File id → digest of the file. */
  readonly files: ReadonlyMap<string, string>;
  /** config.json as it stands. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: string | null;
  readonly dataset: string | null;
  readonly adapter: string | null;
}

interface Comparison {
  readonly what: string;
  readonly expected: string | null;
  readonly actual: string | null;
}

/** One `plan.stale` for each input that has changed; empty for a fresh plan. */
export function checkFresh({ inputs }: Plan, actual: ActualInputs): Diagnostic[] {
  const files = inputs.files.map(
    ({ id, digest }): Comparison => ({ what: id, expected: digest, actual: actual.files.get(id) ?? null }),
  );
  const others: Comparison[] = [
    { what: "config.json", expected: digestOf(inputs.model.config), actual: digestOf(actual.config) },
    { what: "the tokenizer", expected: inputs.tokenizer, actual: actual.tokenizer },
    { what: "the dataset", expected: inputs.dataset?.digest ?? null, actual: actual.dataset },
    { what: "the starting adapter", expected: inputs.adapter?.digest ?? null, actual: actual.adapter },
  ];
  return [...files, ...others].filter(({ expected, actual }) => expected !== actual).map(stale);
}

/** Digests of the weight files that a plan names, given their paths. Throws `weights.unreadable`. */
export async function digestWeights(
  plan: Plan,
  paths: ReadonlyMap<string, string>,
  cacheDirectory: string | null,
): Promise<ReadonlyMap<string, string>> {
  const files = [];
  for (const [id, path] of paths) {
    const { size } = await stat(path).catch((error) => {
      throw unreadable(path, error);
    });
    files.push({ id, path, bytes: size });
  }
  // The plan's own ranges, so that the entry made at planning time is found again.
  const planned = plan.tensors.map((tensor) => [tensor.name, { ...tensor, dtype: "U8" as const }] as const);
  const checkpoint = { files, tensors: new Map(planned) };
  return (await digestCheckpoint(checkpoint, { cacheDir: cacheDirectory })).files;
}

function digestOf(value: object): string {
  return `sha256:${createHash("sha256").update(canonicalJson(value)).digest("hex")}`;
}

function stale({ what, expected, actual }: Comparison): Diagnostic {
  return diagnostic("plan.stale", {
    summary: `${what} is not what it was when the plan was made`,
    detail: `expected ${expected ?? "nothing"}\nactual   ${actual ?? "nothing"}`,
    hint: "plan again: `lema plan RECIPE`",
  });
}
