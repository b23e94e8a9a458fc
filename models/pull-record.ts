/** lema-pull.json: which commit of a Hub repository a directory holds. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";

export const PULL_RECORD_FILE = "lema-pull.json";

export const pullRecordSchema = z.strictObject({
  version: z.literal(1),
  /** `org/name`. */
  repo: z.string(),
  /** The branch, tag or commit that was asked for. */
  revision: z.string(),
  /** The commit it meant. */
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  /** Whether every file is there. */
  complete: z.boolean(),
  files: z.record(
    z.string(),
    z.strictObject({
      bytes: z.int().nonnegative(),
      /** `sha256:…` of the bytes, or `git:…`: SHA-1 of the Git blob. */
      digest: z.string().regex(/^(?:sha256:[0-9a-f]{64}|git:[0-9a-f]{40})$/),
    }),
  ),
});
export type PullRecord = z.output<typeof pullRecordSchema>;

/** The record of a directory, or null where it has none that can be read. */
export async function readPullRecord(directory: string): Promise<PullRecord | null> {
  try {
    const text = await readFile(join(directory, PULL_RECORD_FILE), "utf8");
    return pullRecordSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
