/**
 * One file into the Hub's large-file storage (Git LFS with its `basic` transfer and the Hub's `multipart` one), as a
 * stream: memory does not grow with the file.
 *
 * Protocol: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
 */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import * as z from "zod";
import { ask, askJson, type HubClient, hubError, hubUrl } from "./client.ts";

export interface LargeFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

const action = z.object({ href: z.url(), header: z.record(z.string(), z.string()).optional() });
const batchSchema = z.object({
  objects: z
    .array(
      z.object({
        oid: z.string(),
        actions: z.object({ upload: action.optional(), verify: action.optional() }).optional(),
        error: z.object({ message: z.string() }).optional(),
      }),
    )
    .length(1),
});
type Action = z.output<typeof action>;

const LFS_JSON = "application/vnd.git-lfs+json";
const PART_NUMBER = /^\d+$/;

/** Uploads a file unless the storage has it. Throws `hub.*`. */
export async function uploadLarge(
  client: HubClient,
  repo: string,
  file: LargeFile,
  onBytes: (bytes: number) => void,
): Promise<"uploaded" | "present"> {
  const { sha256: oid, bytes: size } = file;
  const body = {
    operation: "upload",
    transfers: ["basic", "multipart"],
    hash_algo: "sha256",
    objects: [{ oid, size }],
  };
  const { objects } = await askJson(
    client,
    {
      method: "POST",
      url: hubUrl(client, `${repo}.git/info/lfs/objects/batch`),
      headers: { accept: LFS_JSON, "content-type": LFS_JSON },
      body: JSON.stringify(body),
    },
    { what: `the upload of ${file.name} to ${repo}`, schema: batchSchema },
  );
  const [object] = objects;
  if (object?.error) throw hubError("hub.refused", `the Hub refuses ${file.name}: ${object.error.message}`);
  const { upload, verify } = object?.actions ?? {};
  if (upload === undefined) {
    onBytes(size);
    return "present";
  }
  const chunk = upload.header?.chunk_size;
  if (chunk === undefined)
    await put(client, file, { url: upload.href, headers: upload.header ?? {}, start: 0, end: size }, onBytes);
  else await putParts(client, file, { upload, chunkBytes: Number(chunk) }, onBytes);
  if (verify !== undefined) {
    const headers = { "content-type": LFS_JSON, accept: LFS_JSON, ...verify.header };
    const request = {
      method: "POST",
      url: new URL(verify.href),
      headers,
      body: JSON.stringify({ oid, size }),
    } as const;
    (await ask(client, request, { what: `the check of ${file.name}` })).body.resume();
  }
  return "uploaded";
}

interface Put {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the file: [start, end). */
  readonly start: number;
  readonly end: number;
}

/** Sends bytes of a file, again from their begin where the connection breaks; returns the storage's ETag. */
async function put(
  client: HubClient,
  { path, name }: LargeFile,
  { url, headers, start, end }: Put,
  onBytes: (bytes: number) => void,
): Promise<string> {
  let sent = 0;
  const open = (): Readable => {
    onBytes(-sent);
    sent = 0;
    return createReadStream(path, { start, end: end - 1, highWaterMark: 2 ** 18 }).on("data", (piece) => {
      sent += piece.length;
      onBytes(piece.length);
    });
  };
  const body = end > start ? { bytes: end - start, open } : "";
  const request = { method: "PUT", url: new URL(url), headers, body } as const;
  const response = await ask(client, request, { what: `the upload of ${name}` });
  response.body.resume();
  return response.headers.etag ?? "";
}

/** The Hub's own transfer for files that are too large for one request: a URL for each part, then a list of ETags. */
async function putParts(
  client: HubClient,
  file: LargeFile,
  { upload, chunkBytes }: { readonly upload: Action; readonly chunkBytes: number },
  onBytes: (bytes: number) => void,
): Promise<void> {
  const urls = Object.entries(upload.header ?? {})
    .filter(([name]) => PART_NUMBER.test(name))
    .sort(([a], [b]) => Number(a) - Number(b));
  const needed = Math.ceil(file.bytes / chunkBytes);
  if (!(chunkBytes > 0) || urls.length !== needed) {
    throw hubError(
      "hub.refused",
      `the Hub wants ${file.name} in ${urls.length} parts of ${chunkBytes} bytes`,
    );
  }
  const parts: { partNumber: number; etag: string }[] = [];
  for (const [index, [number, url]] of urls.entries()) {
    const start = index * chunkBytes;
    const end = Math.min(start + chunkBytes, file.bytes);
    parts.push({
      partNumber: Number(number),
      etag: await put(client, file, { url, headers: {}, start, end }, onBytes),
    });
  }
  const request = {
    method: "POST",
    url: new URL(upload.href),
    headers: { "content-type": LFS_JSON, accept: LFS_JSON },
    body: JSON.stringify({ oid: file.sha256, parts }),
  } as const;
  (await ask(client, request, { what: `the upload of ${file.name}` })).body.resume();
}
