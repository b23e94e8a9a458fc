import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../hub/client.ts";
import { type PullOptions, pull } from "../../hub/pull.ts";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { makeLlama } from "../../models/make-llama.ts";
import { PULL_RECORD_FILE, readPullRecord } from "../../models/pull-record.ts";
import { codesOf, diagnosticsOf } from "../models/helpers.ts";
import { clientOf, ignore, scratch, startHub } from "./helpers.ts";
import type { MockHub } from "./mock-hub.ts";

const SHARDS = 3;
const model = new Map<string, Buffer>();

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "lema-hub-model-"));
  await makeLlama({
    ...{ directory, hiddenSize: 32, intermediateSize: 64, layers: 2, heads: 4, vocabSize: 97 },
    ...{ dtype: "f32", seed: 1, shards: SHARDS },
  });
  for (const name of await readdir(directory)) model.set(name, await readFile(join(directory, name)));
  await rm(directory, { recursive: true });
});

/** A Hub with the model, and files that nobody needs. */
async function hubWithModel(): Promise<MockHub> {
  const hub = await startHub();
  for (const [name, content] of model) hub.put(name, content, name.endsWith(".safetensors"));
  hub.put("pytorch_model.bin", "never");
  hub.put("onnx/model.onnx", "never");
  hub.put("README.md", "never");
  return hub;
}

const options = (directory: string, change: Partial<PullOptions> = {}): PullOptions => ({
  ...{ repo: "org/model", revision: "main", directory, onProgress: ignore, ...change },
});

async function expectModel(directory: string): Promise<void> {
  for (const [name, content] of model)
    expect(content.equals(await readFile(join(directory, name))), name).toBe(true);
  expect((await readdir(directory)).sort()).toEqual([...model.keys(), PULL_RECORD_FILE].sort());
}

describe("pull", () => {
  it("fetches what lema reads and nothing else, and records the commit", async () => {
    const hub = await hubWithModel();
    const directory = join(await scratch(), "new");
    const seen: number[] = [];
    const onProgress = ({ bytes }: { bytes: number }) => void seen.push(bytes);
    const pulled = await pull(clientOf(hub), options(directory, { onProgress }));
    await expectModel(directory);
    const { tensors } = await openCheckpoint(directory);
    expect(tensors.size).toBeGreaterThan(10);
    expect(pulled).toMatchObject({ commit: hub.commit, present: 0 });
    expect(seen.at(-1)).toBe(pulled.bytes);
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(await readPullRecord(directory)).toMatchObject({
      ...{ repo: "org/model", revision: "main", commit: hub.commit, complete: true },
    });
  });

  it("moves nothing the second time, and notices a file that was changed", async () => {
    const hub = await hubWithModel();
    const directory = await scratch();
    const { bytes } = await pull(clientOf(hub), options(directory));
    hub.requests.length = 0;
    expect(await pull(clientOf(hub), options(directory))).toMatchObject({ present: bytes });
    expect(hub.requests).toHaveLength(1);
    await writeFile(join(directory, "config.json"), "{}");
    expect(await codesOf(() => pull(clientOf(hub), options(directory)))).toEqual(["output.exists"]);
  });

  it("refuses a second pull into the same directory while one is under way", async () => {
    const hub = await hubWithModel();
    const directory = join(await scratch(), "model");
    let second: Promise<string[]> | undefined;
    const onProgress = () => {
      second ??= codesOf(() => pull(clientOf(hub), options(directory)));
    };
    await pull(clientOf(hub), options(directory, { onProgress }));
    expect(await second).toEqual(["output.locked"]);
    await expectModel(directory);
  });

  it.each([
    { noRanges: false, times: 7 },
    { noRanges: true, times: 3 },
  ])("goes on after the connection is cut, %o", async ({ noRanges, times }) => {
    const hub = await hubWithModel();
    Object.assign(hub.faults, { noRanges, cut: { after: 9000, times } });
    const directory = await scratch();
    await pull(clientOf(hub), options(directory));
    await expectModel(directory);
    const resumed = hub.requests.filter((request) => request.includes("bytes="));
    expect(resumed).toHaveLength(times);
    expect(hub.faults.cut?.times).toBe(0);
  });

  it("gives up after a while, keeps what arrived, and goes on with the same commit in another process", async () => {
    const hub = await hubWithModel();
    hub.faults.cut = { after: 0, times: 1000 };
    const directory = await scratch();
    expect(await codesOf(() => pull(clientOf(hub), options(directory)))).toEqual(["hub.unreachable"]);
    hub.faults.cut = { after: 9000, times: 1000 };
    let calls = 0;
    const onProgress: PullOptions["onProgress"] = ({ file }) => {
      // The first call says what was there already: nothing.
      if (file.endsWith(".safetensors") && ++calls === 2) throw new Error("stopped");
    };
    const first = pull(clientOf(hub), options(directory, { onProgress }));
    await expect(first).rejects.toThrow("stopped");
    const { commit } = hub;
    const kept = await readdir(join(directory, ".lema-pull"));
    expect(kept).toHaveLength(1);
    hub.requests.length = 0;
    hub.faults.cut.times = 0;
    await pull(clientOf(hub), options(directory));
    expect(hub.requests[0]).toContain(`/revision/${commit}`);
    expect(hub.requests.some((request) => request.includes("bytes="))).toBe(true);
    await expectModel(directory);
  });

  it("removes a file that is not what the Hub describes", async () => {
    const hub = await hubWithModel();
    const directory = await scratch();
    for (const name of ["model-00002-of-00003.safetensors", "tokenizer.json"]) {
      hub.faults.damaged = name;
      const [problem] = await diagnosticsOf(() => pull(clientOf(hub), options(directory)));
      expect(problem).toMatchObject({ code: "hub.digest-mismatch", summary: expect.stringContaining(name) });
      expect(await readdir(directory)).not.toContain(name);
      hub.faults.damaged = "none";
      await pull(clientOf(hub), options(directory));
      await expectModel(directory);
      await rm(directory, { recursive: true });
    }
  });

  it("follows a rename and the way to the storage, and shows its token to the Hub alone", async () => {
    const hub = await hubWithModel();
    hub.publicly = false;
    hub.faults.renamed = "org/model-new";
    const directory = await scratch();
    await pull(clientOf(hub, "good"), options(directory));
    await expectModel(directory);
    expect(hub.tokenLeaked).toBe(false);
  });

  it("waits where the Hub is busy", async () => {
    const hub = await hubWithModel();
    hub.faults.busy = 3;
    await pull(clientOf(hub), options(await scratch()));
    expect(hub.faults.busy).toBe(0);
  });

  it("says what a refusal means", async () => {
    const hub = await hubWithModel();
    const directory = await scratch();
    const { endpoint } = hub;
    hub.publicly = false;
    hub.tokens.set("terms", "gated");
    const hintOf = async (token: string | null, change: Partial<PullOptions> = {}) => {
      const client = createClient(endpoint, { token, userAgent: "test", retryMs: 1 });
      const [problem] = await diagnosticsOf(() => pull(client, options(directory, change)));
      return `${problem!.code}: ${problem!.hint}`;
    };
    expect(await hintOf(null)).toMatch(/^hub\.unauthorized: .*set HF_TOKEN/);
    expect(await hintOf("bad")).toMatch(/^hub\.unauthorized: .*valid token/);
    expect(await hintOf("terms")).toMatch(/^hub\.unauthorized: accept the model's terms/);
    expect(await hintOf("good", { repo: "org/other" })).toContain("hub.not-found: ");
    expect(await hintOf("good", { revision: "no/such" })).toContain("hub.not-found: ");
    hub.stop();
    expect(await hintOf("good")).toMatch(/^hub\.unreachable/);
    expect(await readdir(directory)).toEqual([]);
  });

  it("refuses a directory with something else in it, or with another commit", async () => {
    const hub = await hubWithModel();
    const directory = await scratch();
    await writeFile(join(directory, "mine.txt"), "");
    expect(await codesOf(() => pull(clientOf(hub), options(directory)))).toEqual(["output.exists"]);
    const other = await scratch();
    await pull(clientOf(hub), options(other));
    hub.commit = "2".repeat(40);
    expect(await codesOf(() => pull(clientOf(hub), options(other)))).toEqual(["output.exists"]);
    expect(await readPullRecord(other)).toMatchObject({ commit: "1".repeat(40) });
  });

  it("refuses a repository without safetensors, one that lacks a shard, and an index that leaves its directory", async () => {
    const hub = await hubWithModel();
    hub.files.delete("model-00002-of-00003.safetensors");
    expect(await codesOf(async () => pull(clientOf(hub), options(await scratch())))).toEqual([
      "hub.no-weights",
    ]);
    const index = { weight_map: { "model.norm.weight": "../../escape.safetensors" } };
    hub.put("model.safetensors.index.json", JSON.stringify(index));
    expect(await codesOf(async () => pull(clientOf(hub), options(await scratch())))).toEqual([
      "weights.bad-index",
    ]);
    hub.files.delete("model.safetensors.index.json");
    expect(await codesOf(async () => pull(clientOf(hub), options(await scratch())))).toEqual([
      "hub.no-weights",
    ]);
  });

  it("fetches an adapter", async () => {
    const hub = await startHub();
    hub.put("adapter_config.json", "{}");
    hub.put("adapter_model.safetensors", "factors", true);
    const { files } = await pull(clientOf(hub), options(await scratch()));
    expect(files).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("does not take an answer that it does not understand", async () => {
    const hub = await hubWithModel();
    hub.commit = "not a commit";
    expect(await codesOf(async () => pull(clientOf(hub), options(await scratch())))).toEqual(["hub.refused"]);
  });
});
