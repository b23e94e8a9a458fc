/** README.md of a merged model: what it was made of, from what, and how far it got. Names no path of this machine. */
import { basename } from "node:path";
import { formatBytes } from "../schemas/units.ts";

export interface TrainingFacts {
  readonly planId: string;
  readonly lemaVersion: string;
  readonly dataset: { readonly name: string; readonly digest: string | null; readonly rows: number | null };
  /** The resolved recipe. */
  readonly recipe: Readonly<Record<string, unknown>>;
  /** Figures of the run; null where it left no record. */
  readonly result: {
    readonly steps: number;
    readonly tokens: number;
    readonly loss: { readonly first: number; readonly last: number } | null;
    readonly evalLoss: number | null;
    readonly memory: { readonly planned: number; readonly measured: number | null };
  } | null;
}

export interface ModelCardFacts {
  readonly name: string;
  readonly base: {
    /** A Hub id such as `org/model`, or the name of a directory. */
    readonly name: string;
    /** Whether `name` is a Hub id. */
    readonly onHub: boolean;
    readonly commit: string | null;
    /** Weight file → its digest, where it was computed. */
    readonly digests: ReadonlyMap<string, string>;
  };
  readonly adapter: { readonly digest: string; readonly modules: number; readonly ranks: readonly number[] };
  readonly dtype: string;
  /** Null for an adapter that lema did not train. */
  readonly training: TrainingFacts | null;
}

export function modelCard(facts: ModelCardFacts): string {
  const { base, adapter, dtype, training } = facts;
  const link = base.onHub ? `[${base.name}](https://huggingface.co/${base.name})` : `\`${base.name}\``;
  const commit = base.commit === null ? "" : ` at commit \`${base.commit}\``;
  const ranks = adapter.ranks.length === 1 ? `rank ${adapter.ranks[0]}` : `ranks ${adapter.ranks.join(", ")}`;
  const lines = [
    ...frontMatter(facts),
    `# ${facts.name}`,
    "",
    `${link}${commit}, with a LoRA adapter (${ranks}, ${adapter.modules} modules) merged into its weights by lema: ` +
      `W + scaling · B·A, computed in float32 and rounded once to ${dtype}.`,
    "",
    ...table([
      ...[...base.digests].map(([file, digest]): Row => [`base ${file}`, code(digest)]),
      ["adapter", code(adapter.digest)],
      ...(training === null ? [] : trainingRows(training)),
    ]),
    ...(training === null ? [] : recipeBlock(training)),
  ];
  return `${lines.join("\n")}\n`;
}

type Row = readonly [string, string];

function frontMatter({ base }: ModelCardFacts): string[] {
  return [
    "---",
    ...(base.onHub ? [`base_model: ${base.name}`, "base_model_relation: finetune"] : []),
    "library_name: transformers",
    "pipeline_tag: text-generation",
    "tags:",
    "- lema",
    "- lora",
    "---",
    "",
  ];
}

function trainingRows({ planId, lemaVersion, dataset, result }: TrainingFacts): Row[] {
  const rows = dataset.rows === null ? "" : `, ${dataset.rows} rows`;
  return [
    ["dataset", `${dataset.name}${rows}${dataset.digest === null ? "" : `, ${code(dataset.digest)}`}`],
    ["plan", code(planId)],
    ["lema", lemaVersion],
    ...(result === null ? [] : resultRows(result)),
  ];
}

function resultRows({ steps, tokens, loss, evalLoss, memory }: NonNullable<TrainingFacts["result"]>): Row[] {
  const measured = memory.measured === null ? "" : `, measured ${formatBytes(memory.measured)}`;
  return [
    ["steps", `${steps} (${tokens} supervised tokens)`],
    ...(loss === null
      ? []
      : [["training loss", `${loss.first.toFixed(4)} → ${loss.last.toFixed(4)}`] as const]),
    ...(evalLoss === null ? [] : [["validation loss", evalLoss.toFixed(4)] as const]),
    ["memory", `planned ${formatBytes(memory.planned)}${measured}`],
  ];
}

function recipeBlock({ recipe }: TrainingFacts): string[] {
  return ["", "## Recipe", "", "```json", JSON.stringify(withoutPaths(recipe), null, 2), "```"];
}

/** Directories on somebody's machine are nobody else's business. */
function withoutPaths(value: unknown): unknown {
  if (typeof value === "string")
    return /^(?:[/~]|[A-Za-z]:\\|\.{1,2}\/)/.test(value) ? basename(value) : value;
  if (Array.isArray(value)) return value.map(withoutPaths);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutPaths(item)]));
}

function table(rows: readonly Row[]): string[] {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replace(/\s+/g, " ");
  return ["| | |", "|---|---|", ...rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`)];
}

function code(text: string): string {
  return `\`${text}\``;
}
