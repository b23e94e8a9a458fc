/**
 * One file from the Hub to disk. It is hashed as it arrives; what arrived before a cut is kept and gone on with, in this
 * process or a later one. It gets its name only when size and digest are the Hub's.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeDirectory } from "../models/make-directory.ts";
import { asNoSpace } from "../models/output-directory.ts";
import { ATTEMPTS, ask, type HubClient, type HubFile, hubError, hubUrl, unreachable } from "./client.ts";
import { ConnectionError, readPieces } from "./http.ts";

export interface Download {
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  readonly path: string;
  /** Where it stands until it is whole. */
  readonly partial: string;
  /** Called with bytes that are on disk, those of an earlier attempt included. */
  readonly onBytes: (bytes: number) => void;
}

/** Throws `hub.*` and `output.no-space`. */
export async function download(client: HubClient, job: Download): Promise<void> {
  const { file, partial, path } = job;
  await makeDirectory(dirname(partial));
  const handle = await open(partial, "a");
  try {
    const hash = digesterOf(file);
    let done = await hashExisting(partial, file, hash);
    if (done === null) {
      await handle.truncate(0);
      done = 0;
    }
    job.onBytes(done);
    await fetchRest(client, job, { handle, hash: hash.current, done });
    await handle.sync();
    const digest = hash.finish();
    if (digest !== file.digest) {
      await rm(partial);
      throw hubError(
        "hub.digest-mismatch",
        `${file.name} of ${job.repo} did not arrive as the Hub describes it`,
        `expected ${file.digest}\nactual   ${digest}`,
        "it was removed; run the command again",
      );
    }
  } catch (error) {
    throw asNoSpace(error, path);
  } finally {
    await handle.close();
  }
  await rename(partial, path);
}

/** Whether the file at `path` is `file`. */
export async function isSame(path: string, file: HubFile): Promise<boolean> {
  const hash = digesterOf(file);
  return (await hashExisting(path, file, hash)) === file.bytes && hash.finish() === file.digest;
}

/** Adds what is on disk to `hash`; null where it is longer than the file should be. */
async function hashExisting(path: string, file: HubFile, hash: Digester): Promise<number | null> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > file.bytes) return null;
  if (size > 0)
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 }))
      hash.current.update(piece as Buffer);
  return size;
}

interface Progress {
  readonly handle: FileHandle;
  readonly hash: Hash;
  done: number;
}

async function fetchRest(client: HubClient, job: Download, progress: Progress): Promise<void> {
  const { file, repo, commit, onBytes } = job;
  const url = hubUrl(client, `${repo}/resolve/${commit}/${encodeURIComponent(file.name)}`);
  const what = `${file.name} of ${repo}`;
  let failures = 0;
  while (progress.done < file.bytes) {
    const from = progress.done;
    try {
      const range = from === 0 ? {} : { range: `bytes=${from}-` };
      const response = await ask(client, { method: "GET", url, headers: range }, { what });
      // A server without ranges sends it all again; the part that is there already is passed over.
      let skip = response.status === 206 ? 0 : from;
      for await (const piece of readPieces(response)) {
        const fresh = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - fresh.length;
        if (progress.done + fresh.length > file.bytes) {
          response.body.destroy();
          throw hubError(
            "hub.digest-mismatch",
            `${what} is longer than the ${file.bytes} bytes that the Hub names`,
          );
        }
        await progress.handle.writeFile(fresh);
        progress.hash.update(fresh);
        progress.done += fresh.length;
        onBytes(fresh.length);
      }
      if (progress.done < file.bytes) throw new ConnectionError("the answer ended early");
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      failures = progress.done > from ? 1 : failures + 1;
      if (failures === ATTEMPTS) throw unreachable(client, what, error.message);
      await sleep(client.retryMs * 2 ** (failures - 1));
    }
  }
}

interface Digester {
  readonly current: Hash;
  /** As `HubFile.digest`. */
  readonly finish: () => string;
}

/** For a file in large-file storage SHA-256; else SHA-1 of `blob SIZE\0` and the content, as Git names blobs. */
function digesterOf({ digest, bytes }: HubFile): Digester {
  const [kind] = digest.split(":");
  const current = kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
  return { current, finish: () => `${kind}:${current.digest("hex")}` };
}
