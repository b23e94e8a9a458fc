/**
 * metrics.jsonl: one row a step and one a validation pass, written as they happen.
 *
 * Invariant: after a resume the file holds exactly the rows of the steps up to the checkpoint; rows of steps that will
 * be done again, and a row that a killed process left half-written, are gone.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Metric, metricSchema } from "../schemas/run.ts";
import { replaceFile } from "./files.ts";

export const METRICS_FILE = "metrics.jsonl";

export class MetricsFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Goes on after step `step`; from 0, with an empty file. */
  static async open(directory: string, step: number): Promise<MetricsFile> {
    const path = join(directory, METRICS_FILE);
    const kept = step === 0 ? [] : (await readMetrics(directory)).filter((row) => row.step <= step);
    await replaceFile(path, kept.map(line).join(""));
    return new MetricsFile(path);
  }

  async append(row: Metric): Promise<void> {
    await appendFile(this.#path, line(metricSchema.parse(row)));
  }
}

/** The whole rows of a run's metrics up to the first that cannot be read; none where there is no file. */
export async function readMetrics(directory: string): Promise<Metric[]> {
  const text = await readFile(join(directory, METRICS_FILE), "utf8").catch((error) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  });
  const rows: Metric[] = [];
  for (const content of text.split("\n").slice(0, -1)) {
    const row = metricSchema.safeParse(parseOrUndefined(content));
    if (!row.success) break;
    rows.push(row.data);
  }
  return rows;
}

const line = (row: Metric): string => `${JSON.stringify(row)}\n`;

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
