/** A JSON object from a file, read strictly. */
import { readFile } from "node:fs/promises";
import type { DiagnosticCode } from "../schemas/diagnostic.ts";
import type { JsonObject } from "./field-reader.ts";
import { refuse } from "./refuse.ts";
import { parseJsonBytes, toPlain } from "./strict-json.ts";

export interface JsonFileCodes {
  /** The file does not exist or cannot be read. */
  readonly missing: DiagnosticCode;
  /** It is not strict JSON, or not an object. */
  readonly syntax: DiagnosticCode;
}

/** Throws a diagnostic of `codes`. */
export async function readJsonObject(path: string, codes: JsonFileCodes): Promise<JsonObject> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return refuse(codes.missing, path, `cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = parseJsonBytes(bytes);
  if ("problem" in parsed) return refuse(codes.syntax, path, `is not strict JSON: ${parsed.problem}`);
  if (!(parsed.value instanceof Map)) return refuse(codes.syntax, path, "does not hold an object");
  return toPlain(parsed.value) as JsonObject;
}
