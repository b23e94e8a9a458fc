/**
 * Streams a JSON Lines file: one object a line, UTF-8, blank lines allowed, CRLF allowed, last newline optional.
 *
 * Lines are numbered from 1 as an editor shows them. Memory is bounded by the longest line.
 */
import { createReadStream } from "node:fs";
import { type Diagnostic, DiagnosticError, diagnostic, type Place } from "../schemas/diagnostic.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

interface LinePosition {
  readonly line: number;
  /** Bytes of the file up to and including this line. */
  readonly bytesRead: number;
}
export type JsonLine = LinePosition &
  (
    | { readonly object: JsonObject; readonly problem?: never }
    | { readonly object?: never; readonly problem: Diagnostic }
  );

const NEWLINE = 0x0a;
const CHUNK_BYTES = 1 << 20;
/** Far above any training sample: a huge file without newlines is a clear error, not an exhausted heap. */
const LINE_BYTES_MAX = 64 << 20;

/** Yields every non-blank line of `file`; throws `data.unreadable` when the file cannot be read. */
export async function* readJsonLines(file: string): AsyncGenerator<JsonLine> {
  let line = 0;
  let bytesRead = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const bytes of readLines(file)) {
    line++;
    bytesRead += bytes.length;
    const position = { line, bytesRead };
    const where = { file, line };
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      yield { ...position, problem: diagnostic("data.bad-line", { summary: "not valid UTF-8", where }) };
      continue;
    }
    if (text.trim() === "") continue;
    yield { ...position, ...parseObject(text, where) };
  }
}

/** Raw lines, each with its newline. */
async function* readLines(file: string): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let pending = 0;
  try {
    for await (const chunk of createReadStream(file, {
      highWaterMark: CHUNK_BYTES,
    }) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        pieces.push(chunk.subarray(start, end + 1));
        yield pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
        pieces = [];
        pending = 0;
        start = end + 1;
      }
      pieces.push(chunk.subarray(start));
      pending += chunk.length - start;
      if (pending > LINE_BYTES_MAX) {
        const summary = `a line is longer than ${LINE_BYTES_MAX} bytes`;
        const hint = "a dataset is JSON Lines: one object a line, not one array";
        throw new DiagnosticError(diagnostic("data.bad-line", { summary, where: { file }, hint }));
      }
    }
  } catch (error) {
    throw asUnreadable(error, file);
  }
  if (pending > 0) yield Buffer.concat(pieces);
}

/** Turns an error of the file system into `data.unreadable`; others stay what they are. */
export function asUnreadable(error: unknown, file: string): unknown {
  if (!(error instanceof Error && "syscall" in error)) return error;
  return new DiagnosticError(
    diagnostic("data.unreadable", { summary: `cannot read the dataset: ${error.message}`, where: { file } }),
  );
}

function parseObject(text: string, where: Place): { object: JsonObject } | { problem: Diagnostic } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = (error as SyntaxError).message;
    const column = /position (\d+)/.exec(message)?.[1];
    const place = column === undefined ? where : { ...where, column: Number(column) + 1 };
    return { problem: diagnostic("data.bad-line", { summary: `not JSON: ${message}`, where: place }) };
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { object: value as JsonObject };
  }
  const found = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;
  const hint = "a dataset is JSON Lines: one object a line";
  return {
    problem: diagnostic("data.bad-line", { summary: `expected an object, found ${found}`, where, hint }),
  };
}
