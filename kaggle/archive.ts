/**
 * Files inside a notebook: one JSON object from path to content, compressed as Node.js can undo it, in base 85. Kaggle takes one file only, of
 * less than a megabyte.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { brotliCompressSync, constants } from "node:zlib";
import { base85 } from "./base85.ts";
import { type Cell, folded } from "./notebook.ts";

/** Where files come from and where they go. */
export interface EmbeddedFile {
  /** In the notebook's folder, with `/`. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** The last step of quality saves 2 % more, in twice the time. */
const DENSE = {
  [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY - 1,
  [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
};
/** Line breaks cost a little room, and endless lines stop editors. */
const LINE = 4000;

export async function embeddedFile(path: string, source: string): Promise<EmbeddedFile> {
  return { path, content: await readFile(source) };
}

/** A cell that writes the files into `WORK / folder`, and refuses what was damaged on its way. */
export function archiveCell(id: string, folder: string, files: readonly EmbeddedFile[]): Cell {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const contents = Object.fromEntries(sorted.map(({ path, content }) => [path, encode(content)]));
  const packed = brotliCompressSync(JSON.stringify(contents), { params: DENSE });
  const digest = createHash("sha256").update(packed).digest("hex");
  const lines = base85(packed).match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  const call = `unpack(WORK / ${JSON.stringify(folder)}, "${digest}", """\n${lines.join("\n")}\n""")`;
  return folded(id, call);
}

/** Text stays text, which compresses better. */
function encode(content: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const buffer = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer) ? { text } : { base64: buffer.toString("base64") };
}
