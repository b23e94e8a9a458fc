/**
 * `lema push`: a model or adapter directory to a Hub repository.
 *
 * Large files go one by one into large-file storage. With `deleteAfterUpload` each is committed and then removed here
 * before the next is touched, so a disk that holds the model once suffices; nothing is removed that the repository does
 * not hold under its name. Run again after a cut, it goes on: what the repository has is not sent twice.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { INDEX_FILE, readIndex } from "../models/checkpoint.ts";
import { PULL_RECORD_FILE } from "../models/pull-record.ts";
import { refuse } from "../models/refuse.ts";
import { ask, askJson, type HubClient, type HubRevision, hubError, hubUrl, readRevision } from "./client.ts";
import { type LargeFile, uploadLarge } from "./upload.ts";

export interface PushOptions {
  readonly directory: string;
  /** `org/name`; made where it does not exist. */
  readonly repo: string;
  /** Branch. */
  readonly revision: string;
  readonly visibility: "public" | "private";
  readonly deleteAfterUpload: boolean;
  readonly onProgress: (progress: {
    readonly file: string;
    readonly bytes: number;
    readonly total: number;
  }) => void;
}

export interface Pushed {
  /** The last commit; null where there was nothing to do. */
  readonly commit: string | null;
  readonly uploaded: readonly string[];
  /** Files that the repository held already. */
  readonly unchanged: readonly string[];
  readonly deleted: readonly string[];
}

/** What belongs to this machine or to a resume, not to a model. */
const PRIVATE_FILES = [PULL_RECORD_FILE, "optimizer.safetensors", "lema_state.json", "trainer_state.json"];
const WEIGHTS = /\.safetensors$/;
/** The Hub's own limit for files outside large-file storage. */
const REGULAR_BYTES = 10 * 2 ** 20;
const SAMPLE_BYTES = 512;

interface LocalFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
}

/** Throws `hub.*`. */
export async function push(client: HubClient, options: PushOptions): Promise<Pushed> {
  const files = await listFiles(options.directory);
  await createRepo(client, options);
  const remote = await readRevision(client, options.repo, options.revision);
  await checkShards(options.directory, files, remote);
  const large = await largeFiles(client, options, files);
  const job = new PushJob(client, options, remote, files);
  for (const file of files.filter(({ name }) => large.has(name))) await job.pushLarge(file);
  const regular = files.filter(({ name }) => !large.has(name));
  return job.finish(regular);
}

async function listFiles(directory: string): Promise<LocalFile[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: Error) =>
    refuse("model.not-found", directory, `cannot be read: ${error.message}`),
  );
  const names = entries.filter(
    (entry) => entry.isFile() && !entry.name.startsWith(".") && !PRIVATE_FILES.includes(entry.name),
  );
  const files: LocalFile[] = [];
  for (const { name } of names) {
    const path = join(directory, name);
    files.push({ name, path, bytes: (await stat(path)).size });
  }
  if (!files.some(({ name }) => name === "config.json" || name === "adapter_config.json")) {
    refuse(
      "model.not-found",
      directory,
      "holds neither a model nor an adapter",
      "give what `lema merge` wrote",
    );
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function createRepo(client: HubClient, { repo, visibility }: PushOptions): Promise<void> {
  const [organization, name] = repo.split("/");
  const body = JSON.stringify({ type: "model", name, organization, private: visibility === "private" });
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", url: hubUrl(client, "api/repos/create"), headers, body } as const;
  // 409: it is there.
  (await ask(client, request, { what: `the repository ${repo}`, allow: [409] })).body.resume();
}

/** A shard that the index names is here, or in the repository from an earlier push. */
async function checkShards(
  directory: string,
  files: readonly LocalFile[],
  remote: HubRevision,
): Promise<void> {
  if (!files.some(({ name }) => name === INDEX_FILE)) return;
  const shards = new Set(Object.values(await readIndex(join(directory, INDEX_FILE))));
  const lost = [...shards].find(
    (shard) => !files.some(({ name }) => name === shard) && !remote.files.has(shard),
  );
  if (lost !== undefined) {
    const hint = "an index without its shards is no model; make the directory again";
    throw hubError(
      "hub.incomplete",
      `${directory} lacks ${lost}, and the repository has none`,
      undefined,
      hint,
    );
  }
}

const preuploadSchema = z.object({
  files: z.array(z.object({ path: z.string(), uploadMode: z.enum(["lfs", "regular"]) })),
});

/** The names that the Hub wants in large-file storage. */
async function largeFiles(
  client: HubClient,
  { repo, revision }: PushOptions,
  files: readonly LocalFile[],
): Promise<ReadonlySet<string>> {
  const described = [];
  for (const { name, path, bytes } of files)
    described.push({ path: name, size: bytes, sample: await sampleOf(path) });
  const answer = await askJson(
    client,
    {
      method: "POST",
      url: hubUrl(client, `api/models/${repo}/preupload/${encodeURIComponent(revision)}`),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ files: described }),
    },
    { what: repo, schema: preuploadSchema },
  );
  const wanted = answer.files.filter(({ uploadMode }) => uploadMode === "lfs").map(({ path }) => path);
  const oversized = files.filter(({ bytes }) => bytes > REGULAR_BYTES).map(({ name }) => name);
  return new Set([...wanted, ...oversized]);
}

async function sampleOf(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0);
    return buffer.toString("base64", 0, bytesRead);
  } finally {
    await file.close();
  }
}

type CommitLine =
  | { readonly key: "lfsFile"; readonly value: { path: string; algo: "sha256"; oid: string; size: number } }
  | { readonly key: "file"; readonly value: { path: string; content: string; encoding: "base64" } };

const commitSchema = z.object({ commitOid: z.string() });

class PushJob {
  readonly #client: HubClient;
  readonly #options: PushOptions;
  readonly #remote: HubRevision;
  readonly #total: number;
  readonly #pending: CommitLine[] = [];
  readonly #uploaded: string[] = [];
  readonly #unchanged: string[] = [];
  readonly #deleted: string[] = [];
  #commit: string | null = null;
  #done = 0;

  constructor(client: HubClient, options: PushOptions, remote: HubRevision, files: readonly LocalFile[]) {
    this.#client = client;
    this.#options = options;
    this.#remote = remote;
    this.#total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async pushLarge(file: LocalFile): Promise<void> {
    const { repo, deleteAfterUpload, onProgress } = this.#options;
    const { name } = file;
    const sha256 = await sha256Of(file.path);
    if (this.#remote.files.get(name)?.digest === `sha256:${sha256}`) {
      this.#unchanged.push(name);
      this.#done += file.bytes;
    } else {
      await uploadLarge(this.#client, repo, { ...file, sha256 } satisfies LargeFile, (bytes) => {
        this.#done += bytes;
        onProgress({ file: name, bytes: this.#done, total: this.#total });
      });
      this.#uploaded.push(name);
      const value = { path: name, algo: "sha256", oid: sha256, size: file.bytes } as const;
      this.#pending.push({ key: "lfsFile", value });
    }
    if (!deleteAfterUpload || !WEIGHTS.test(name)) return;
    await this.#flush(`Upload ${name}`);
    await rm(file.path);
    this.#deleted.push(name);
  }

  async finish(regular: readonly LocalFile[]): Promise<Pushed> {
    for (const { name, path } of regular) {
      const content = await readFile(path);
      const digest = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
      if (this.#remote.files.get(name)?.digest === `git:${digest}`) {
        this.#unchanged.push(name);
        continue;
      }
      this.#uploaded.push(name);
      const value = { path: name, content: content.toString("base64"), encoding: "base64" } as const;
      this.#pending.push({ key: "file", value });
    }
    await this.#flush("Upload with lema");
    const [uploaded, unchanged, deleted] = [this.#uploaded, this.#unchanged, this.#deleted];
    return { commit: this.#commit, uploaded, unchanged, deleted };
  }

  async #flush(summary: string): Promise<void> {
    if (this.#pending.length === 0) return;
    const { repo, revision } = this.#options;
    const lines = [{ key: "header", value: { summary, description: "" } }, ...this.#pending];
    const { commitOid } = await askJson(
      this.#client,
      {
        method: "POST",
        url: hubUrl(this.#client, `api/models/${repo}/commit/${encodeURIComponent(revision)}`),
        headers: { "content-type": "application/x-ndjson" },
        body: lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
      },
      { what: `the commit to ${repo}`, schema: commitSchema },
    );
    this.#commit = commitOid;
    this.#pending.length = 0;
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer);
  return hash.digest("hex");
}
