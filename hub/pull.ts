/**
 * `lema pull`: the files of a Hub repository that lema reads, at one commit.
 *
 * Invariant: a directory holds files of one commit only, and lema-pull.json says of which; nothing that was there and
 * is something else is replaced.
 */
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ADAPTER_WEIGHTS_FILE } from "../models/adapter-file.ts";
import { INDEX_FILE, readIndex, SINGLE_FILE, TOKENIZER_FILES } from "../models/checkpoint.ts";
import { makeDirectory } from "../models/make-directory.ts";
import { OTHER_FILES } from "../models/model-files.ts";
import { checkSpace, withOutputLock } from "../models/output-directory.ts";
import { ADAPTER_CONFIG_FILE } from "../models/peft-settings.ts";
import { PULL_RECORD_FILE, type PullRecord, readPullRecord } from "../models/pull-record.ts";
import { refuse } from "../models/refuse.ts";
import { type HubClient, type HubFile, type HubRevision, hubError, readRevision } from "./client.ts";
import { download, isSame } from "./download.ts";

export interface PullOptions {
  /** `org/name`. */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  readonly directory: string;
  readonly onProgress: (progress: {
    readonly file: string;
    readonly bytes: number;
    readonly total: number;
  }) => void;
}

export interface Pulled {
  readonly commit: string;
  readonly files: readonly string[];
  readonly bytes: number;
  /** Bytes that were on disk already. */
  readonly present: number;
}

const PARTS = ".lema-pull";

/** Throws `hub.*` and `output.*`. */
export async function pull(client: HubClient, options: PullOptions): Promise<Pulled> {
  return withOutputLock(options.directory, () => pullFiles(client, options));
}

async function pullFiles(client: HubClient, options: PullOptions): Promise<Pulled> {
  const { repo, directory } = options;
  const record = await readPullRecord(directory);
  const revision = await readRevision(client, repo, pinned(record, options));
  if (record === null) await checkForeign(directory);
  else checkRecord(record, options, revision);
  const first = wantedFiles(revision, repo);
  await makeDirectory(directory);
  const job = new PullJob(client, options, revision.commit);
  await job.fetch(first);
  const shards = first.some(({ name }) => name === INDEX_FILE)
    ? shardFiles(await readIndex(join(directory, INDEX_FILE)), revision, repo)
    : [];
  await job.fetch(shards);
  return job.finish();
}

/** A pull that was cut goes on with the commit it began with, also where the branch has moved on. */
function pinned(record: PullRecord | null, { repo, revision }: PullOptions): string {
  const goesOn = record?.repo === repo && record.revision === revision && !record.complete;
  return goesOn ? record.commit : revision;
}

function checkRecord(record: PullRecord, { repo, directory }: PullOptions, { commit }: HubRevision): void {
  if (record.repo === repo && record.commit === commit) return;
  const what = `holds ${record.repo} at commit ${record.commit}, and ${repo} at ${commit} is asked for`;
  refuse("output.exists", directory, what, "choose another directory, or name that commit with `--revision`");
}

async function checkForeign(directory: string): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const found = entries.find((name) => name !== PARTS);
  if (found !== undefined) {
    const hint = "choose an empty directory";
    refuse("output.exists", directory, `holds ${found} and no ${PULL_RECORD_FILE}`, hint);
  }
}

/** All but shards, whose names the index tells. */
function wantedFiles({ files }: HubRevision, repo: string): HubFile[] {
  const weights = [SINGLE_FILE, INDEX_FILE].find((name) => files.has(name));
  if (weights === undefined && !files.has(ADAPTER_WEIGHTS_FILE)) {
    throw hubError(
      "hub.no-weights",
      `${repo} holds neither ${SINGLE_FILE}, ${INDEX_FILE} nor ${ADAPTER_WEIGHTS_FILE}`,
      `it has ${[...files.keys()].slice(0, 8).join(", ")}`,
      "lema reads safetensors; look for a copy of the model in that format",
    );
  }
  const adapter = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
  const names = ["config.json", ...TOKENIZER_FILES, ...OTHER_FILES, ...adapter];
  return [...names, ...(weights === undefined ? [] : [weights])].flatMap((name) => files.get(name) ?? []);
}

/** `readIndex` has seen to it that no name leaves the directory. */
function shardFiles(map: Readonly<Record<string, string>>, { files }: HubRevision, repo: string): HubFile[] {
  return [...new Set(Object.values(map))].sort().map((name) => {
    const file = files.get(name);
    if (file === undefined) throw hubError("hub.no-weights", `${repo} lacks ${name}, which its index names`);
    return file;
  });
}

class PullJob {
  readonly #client: HubClient;
  readonly #options: PullOptions;
  readonly #commit: string;
  readonly #files: HubFile[] = [];
  #done = 0;
  #present = 0;

  constructor(client: HubClient, options: PullOptions, commit: string) {
    this.#client = client;
    this.#options = options;
    this.#commit = commit;
  }

  async fetch(files: readonly HubFile[]): Promise<void> {
    const { directory, repo, onProgress } = this.#options;
    this.#files.push(...files);
    const missing: HubFile[] = [];
    for (const file of files) {
      if (await this.#isPresent(file)) this.#present += file.bytes;
      else missing.push(file);
    }
    this.#done += files.reduce((sum, { bytes }) => sum + bytes, 0) - sizeOf(missing);
    if (files.length > 0) await this.#record(false);
    await checkSpace(directory, sizeOf(missing) - (await partialBytes(join(directory, PARTS), missing)));
    for (const file of missing) {
      await download(this.#client, {
        ...{ repo, commit: this.#commit, file },
        path: join(directory, file.name),
        partial: join(directory, PARTS, file.name),
        onBytes: (bytes) => {
          this.#done += bytes;
          onProgress({ file: file.name, bytes: this.#done, total: sizeOf(this.#files) });
        },
      });
    }
  }

  async finish(): Promise<Pulled> {
    await rm(join(this.#options.directory, PARTS), { recursive: true, force: true });
    await this.#record(true);
    const files = this.#files.map(({ name }) => name);
    return { commit: this.#commit, files, bytes: sizeOf(this.#files), present: this.#present };
  }

  async #isPresent(file: HubFile): Promise<boolean> {
    const path = join(this.#options.directory, file.name);
    if ((await stat(path).catch(() => null)) === null) return false;
    if (await isSame(path, file)) return true;
    return refuse("output.exists", path, `is not what ${this.#options.repo} holds`, "move it away");
  }

  async #record(complete: boolean): Promise<void> {
    const { repo, revision, directory } = this.#options;
    const files = this.#files.map(({ name, bytes, digest }) => [name, { bytes, digest }]);
    const record = {
      version: 1,
      repo,
      revision,
      commit: this.#commit,
      complete,
      files: Object.fromEntries(files),
    };
    await writeFile(join(directory, PULL_RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
  }
}

function sizeOf(files: readonly HubFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function partialBytes(directory: string, files: readonly HubFile[]): Promise<number> {
  let sum = 0;
  for (const { name } of files) sum += (await stat(join(directory, name)).catch(() => undefined))?.size ?? 0;
  return sum;
}
