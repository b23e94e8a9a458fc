/**
 * manifest.json: the digests of a checkpoint's files, written last. A checkpoint without it is one that was never
 * finished; a checkpoint that does not match it is damaged. Neither is read.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type Manifest, manifestSchema, RUN_FORMAT_VERSION } from "../schemas/run.ts";
import { digestFile, jsonText, writeSynced } from "./files.ts";

export const MANIFEST_FILE = "manifest.json";

/** Describes every file of `directory`; they must be complete and synced. */
export async function writeManifest(directory: string): Promise<Manifest> {
  const files: Record<string, Manifest["files"][string]> = {};
  for (const name of (await readdir(directory)).sort()) {
    if (name !== MANIFEST_FILE) files[name] = await digestFile(join(directory, name));
  }
  const manifest = manifestSchema.parse({ format_version: RUN_FORMAT_VERSION, files });
  await writeSynced(join(directory, MANIFEST_FILE), jsonText(manifest));
  return manifest;
}

/** Checks every file of a checkpoint. Throws `checkpoint.incomplete` and `checkpoint.damaged`. */
export async function checkManifest(directory: string): Promise<Manifest> {
  const manifest = await readManifest(directory);
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = join(directory, name);
    const actual = await digestFile(path).catch((error) => damaged(path, (error as Error).message));
    if (actual.size !== expected.size)
      damaged(path, `it has ${actual.size} bytes instead of ${expected.size}`);
    if (actual.sha256 !== expected.sha256) {
      damaged(path, `its SHA-256 is ${actual.sha256}, and the manifest says ${expected.sha256}`);
    }
  }
  return manifest;
}

async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, MANIFEST_FILE);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) {
    throw new DiagnosticError(
      diagnostic("checkpoint.incomplete", {
        summary: `${directory} is not a complete checkpoint: it has no ${MANIFEST_FILE}`,
        where: { file: path },
        hint: "resume from another checkpoint of the run",
      }),
    );
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    return damaged(path, `it is not JSON: ${(error as Error).message}`);
  }
  const { data, error } = manifestSchema.safeParse(content);
  return data ?? damaged(path, `it is not a manifest: ${error?.issues[0]?.message}`);
}

function damaged(path: string, reason: string): never {
  throw new DiagnosticError(
    diagnostic("checkpoint.damaged", {
      summary: `${path} is damaged: ${reason}`,
      where: { file: path },
      hint: "resume from another checkpoint of the run",
    }),
  );
}
