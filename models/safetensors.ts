/**
 * The one reader of safetensors headers. It is strict: a file that it accepts has one meaning only, every byte of the
 * data part belongs to exactly one tensor, and all positions are whole numbers below 2^53. Native code sees only
 * ranges that were checked here.
 *
 * Format (https://huggingface.co/docs/safetensors): 8 bytes little-endian length n, n bytes of JSON, data.
 */
import { type FileHandle, open } from "node:fs/promises";
import { type DiagnosticCode, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { refuse } from "./refuse.ts";
import { isArray, type JsonValue, parseJsonBytes } from "./strict-json.ts";

/** Bytes an element; in the order in which the reference implementation sorts tensors, last first. */
export const SAFETENSORS_DTYPES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type SafetensorsDType = keyof typeof SAFETENSORS_DTYPES;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** First byte, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly fileBytes: number;
  /** First byte of the data part. */
  readonly dataOffset: number;
  readonly metadata: ReadonlyMap<string, string>;
  /** By name, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/** The length field. */
export const LENGTH_BYTES = 8;
/** As in the reference implementation; a larger header is an attack or an accident. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA_KEY = "__metadata__";

/** Reads and checks the header of a file. Throws `weights.*` diagnostics. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const fileBytes = (await file.stat()).size;
    if (fileBytes < LENGTH_BYTES) fail("weights.truncated", path, `it has only ${fileBytes} bytes`);
    const length = readLength(await readExactly(file, 0, LENGTH_BYTES, path), path);
    if (LENGTH_BYTES + length > fileBytes) {
      fail(
        "weights.truncated",
        path,
        `its header should end at byte ${LENGTH_BYTES + length}, but the file has ${fileBytes} bytes`,
      );
    }
    return parseSafetensorsHeader(await readExactly(file, LENGTH_BYTES, length, path), fileBytes, path);
  } catch (error) {
    if (error instanceof DiagnosticError) throw error;
    throw unreadable(path, error);
  } finally {
    await file?.close();
  }
}

/** Checks a header's JSON against the size of its file; `path` is only named in diagnostics. */
export function parseSafetensorsHeader(json: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  // Leading white space is legal JSON, but not a legal header: a file is recognised by its ninth byte.
  if (json[0] !== 0x7b) fail("weights.bad-header", path, "its header does not begin with `{`");
  const parsed = parseJsonBytes(json);
  if ("problem" in parsed)
    fail("weights.bad-header", path, `its header is not strict JSON: ${parsed.problem}`);
  const dataOffset = LENGTH_BYTES + json.length;
  const metadata = new Map<string, string>();
  const tensors: SafetensorsTensor[] = [];
  for (const [name, entry] of parsed.value as ReadonlyMap<string, JsonValue>) {
    if (name === METADATA_KEY) readMetadata(entry, metadata, path);
    else tensors.push(readTensor(name, entry, dataOffset, path));
  }
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkCovered(tensors, dataOffset, fileBytes, path);
  return {
    fileBytes,
    dataOffset,
    metadata,
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}

function readLength(field: Uint8Array, path: string): number {
  const length = new DataView(field.buffer, field.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    fail(
      "weights.bad-header",
      path,
      `its header would have ${length} bytes; ${MAX_HEADER_BYTES} are allowed`,
    );
  }
  return Number(length);
}

function readMetadata(entry: JsonValue, into: Map<string, string>, path: string): void {
  if (!(entry instanceof Map)) fail("weights.bad-header", path, `its ${METADATA_KEY} is not an object`);
  for (const [key, value] of entry as ReadonlyMap<string, JsonValue>) {
    if (typeof value !== "string") {
      fail("weights.bad-header", path, `its ${METADATA_KEY} entry ${JSON.stringify(key)} is not a string`);
    }
    into.set(key, value);
  }
}

function readTensor(name: string, entry: JsonValue, dataOffset: number, path: string): SafetensorsTensor {
  const bad = (what: string): never =>
    fail("weights.bad-header", path, `tensor ${JSON.stringify(name)}: ${what}`);
  if (!(entry instanceof Map)) return bad("its entry is not an object");
  const fields = entry as ReadonlyMap<string, JsonValue>;
  for (const key of fields.keys()) {
    if (!["dtype", "shape", "data_offsets"].includes(key)) bad(`unknown field ${JSON.stringify(key)}`);
  }
  const dtype = fields.get("dtype");
  const shape = fields.get("shape");
  const offsets = fields.get("data_offsets");
  if (typeof dtype !== "string") return bad("its dtype is not a string");
  if (!Object.hasOwn(SAFETENSORS_DTYPES, dtype)) {
    fail(
      "weights.unknown-dtype",
      path,
      `tensor ${JSON.stringify(name)} has the unknown dtype ${JSON.stringify(dtype)}`,
    );
  }
  if (!isCounts(shape)) return bad("its shape is not a list of whole numbers");
  if (!isCounts(offsets) || offsets.length !== 2) return bad("its data_offsets are not two whole numbers");
  const known = dtype as SafetensorsDType;
  const [begin, end] = offsets as readonly [bigint, bigint];
  const needed = shape.reduce((product, dim) => product * dim, BigInt(SAFETENSORS_DTYPES[known]));
  if (end < begin || end - begin !== needed) {
    fail(
      "weights.bad-layout",
      path,
      `tensor ${JSON.stringify(name)} needs ${needed} bytes for ${known} [${shape.join(", ")}], ` +
        `and its data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  }
  if ([...shape, end + BigInt(dataOffset)].some((value) => value > BigInt(Number.MAX_SAFE_INTEGER))) {
    bad("a size or position is beyond 2^53");
  }
  return {
    name,
    dtype: known,
    shape: shape.map(Number),
    offset: dataOffset + Number(begin),
    bytes: Number(needed),
  };
}

/** Tensors, sorted by offset, must cover the data part without hole or overlap and end where the file ends. */
function checkCovered(
  tensors: readonly SafetensorsTensor[],
  dataOffset: number,
  fileBytes: number,
  path: string,
): void {
  let covered = dataOffset;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== covered) {
      const what = offset < covered ? "overlaps the tensor before it" : "leaves a hole before it";
      fail(
        "weights.bad-layout",
        path,
        `tensor ${JSON.stringify(name)} begins at byte ${offset} and ${what} (${covered})`,
      );
    }
    covered += bytes;
  }
  const sizes = `its tensors end at byte ${covered}, but the file has ${fileBytes} bytes`;
  if (covered > fileBytes) fail("weights.truncated", path, sizes);
  if (covered < fileBytes) fail("weights.trailing-bytes", path, sizes);
}

function isCounts(value: JsonValue | undefined): value is readonly bigint[] {
  return (
    value !== undefined && isArray(value) && value.every((item) => typeof item === "bigint" && item >= 0n)
  );
}

/** `length` bytes at `position`; short reads are continued, the end of the file is an error. */
export async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0)
      fail("weights.truncated", path, `it ended at byte ${position + done} while being read`);
    done += bytesRead;
  }
  return buffer;
}

const HINTS: Partial<Record<DiagnosticCode, string>> = {
  "weights.truncated": "the download or copy was cut short; fetch the file again",
};

function fail(code: DiagnosticCode, path: string, what: string): never {
  refuse(
    code,
    path,
    what,
    HINTS[code] ?? "the file is damaged or was written by a faulty tool; fetch or convert it again",
  );
}

/** An I/O error as a diagnostic. */
export function unreadable(path: string, error: unknown): DiagnosticError {
  const reason = error instanceof Error ? error.message : String(error);
  return new DiagnosticError(
    diagnostic("weights.unreadable", {
      summary: `${path} cannot be read: ${reason}`,
      where: { file: path },
      hint: "check that the file exists and that you may read it",
    }),
  );
}
