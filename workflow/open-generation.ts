/**
 * From a model, an adapter or a run to a session that generates: what is asked for, and what comes back.
 */
import type { Diagnostic } from "../schemas/diagnostic.ts";
import type { AdapterRun } from "./find-adapter.ts";

export interface GenerationRequest {
  /** A model directory (a base or a merged model), a run, one of its checkpoints, or a PEFT adapter. */
  readonly model: string;
  /** Whether an adapter is applied, unmerged, or left out to hear the base alone. */
  readonly adapter: "applied" | "left out";
  /** Directory of the base model; null: where the run or the adapter says it is. */
  readonly base: string | null;
  /** Positions that the cache has room for; null: the usual number, or less where the model has fewer. */
  readonly context: number | null;
  /** Totals in bytes; null: the usual amount of ram, and no vram tier. */
  readonly memory: { readonly ram: number | null; readonly vram: number | null };
  readonly cwd: string;
  /** Where digests are kept; null: nowhere. */
  readonly cacheDirectory: string | null;
  readonly onProgress?: (text: string) => void;
}

/** Beside the session: what spells its tokens. */
export interface GenerationFiles {
  /** The directory of config.json, the tokenizer's files and the weights. */
  readonly modelDirectory: string;
  /** Null without an adapter, or where it is left out. */
  readonly adapterDirectory: string | null;
  /** The run that the adapter comes from: its recipe knows the chat template. */
  readonly run: AdapterRun | null;
  readonly diagnostics: readonly Diagnostic[];
}
