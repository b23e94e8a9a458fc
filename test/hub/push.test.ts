import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type PushOptions, push } from "../../hub/push.ts";
import { codesOf, diagnosticsOf } from "../models/helpers.ts";
import { clientOf, ignore, scratch, startHub } from "./helpers.ts";
import { sha256 } from "./mock-hub.ts";

const shard = (i: number) => Buffer.alloc(50_000 + i, i);
const NAMES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const SMALL = ["README.md", "config.json", "model.safetensors.index.json"];

async function model(): Promise<string> {
  const directory = await scratch();
  await writeFile(join(directory, "config.json"), "{}");
  await writeFile(join(directory, "README.md"), "# model");
  await writeFile(join(directory, "lema_state.json"), "private");
  await writeFile(join(directory, ".hidden"), "private");
  await mkdir(join(directory, "folder"));
  const map = Object.fromEntries(NAMES.map((name, i) => [`t${i}`, name]));
  await writeFile(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  for (const [i, name] of NAMES.entries()) await writeFile(join(directory, name), shard(i));
  return directory;
}

const options = (directory: string, change: Partial<PushOptions> = {}): PushOptions => ({
  ...{ directory, repo: "org/model", revision: "main", visibility: "public", deleteAfterUpload: false },
  ...{ onProgress: ignore, ...change },
});

describe("push", () => {
  it("uploads a model in one commit, large files by their digest, nothing private, and nothing twice", async () => {
    const hub = await startHub();
    hub.exists = false;
    const directory = await model();
    const pushed = await push(clientOf(hub, "good"), options(directory));
    expect(hub.commits).toEqual([[...NAMES, ...SMALL]]);
    expect(pushed).toMatchObject({ commit: hub.commit, deleted: [], unchanged: [] });
    expect(hub.storage).toEqual(new Map(NAMES.map((_, i) => [sha256(shard(i)), 50_000 + i])));
    expect(hub.files.get("config.json")?.content).toEqual(Buffer.from("{}"));
    expect(hub.tokenLeaked).toBe(false);
    expect(hub.requests).toContain("POST /org/model/verify");
    const again = await push(clientOf(hub, "good"), options(directory));
    expect(again).toMatchObject({ commit: null, uploaded: [] });
    expect(again.unchanged).toHaveLength(5);
    expect(hub.commits).toHaveLength(1);
  });

  it("sends in parts where the storage asks for them", async () => {
    const hub = await startHub();
    hub.faults.partBytes = 20_000;
    hub.faults.cutUpload = { after: 10_000, times: 2 };
    await push(clientOf(hub, "good"), options(await model()));
    expect(hub.requests.filter((request) => request === "PUT part")).toHaveLength(6 + 2);
    expect([...hub.storage.keys()]).toEqual(NAMES.map((_, i) => sha256(shard(i))));
  });

  it("sends a file again when the connection breaks; progress ends at the whole", async () => {
    const hub = await startHub();
    hub.faults.cutUpload = { after: 10_000, times: 3 };
    let last = 0;
    const onProgress: PushOptions["onProgress"] = ({ bytes }) => {
      last = bytes;
    };
    await push(clientOf(hub, "good"), options(await model(), { onProgress }));
    expect(hub.storage.size).toBe(2);
    expect(last).toBe(100_001);
  });

  it("removes a shard only when the repository holds it, and goes on after a cut", async () => {
    const hub = await startHub();
    const directory = await model();
    hub.faults.cutUpload = { after: 10_000, times: 1000 };
    const run = () => push(clientOf(hub, "good"), options(directory, { deleteAfterUpload: true }));
    expect(await codesOf(run)).toEqual(["hub.unreachable"]);
    expect(await readdir(directory)).toEqual(expect.arrayContaining(NAMES));
    hub.faults.cutUpload.times = 0;
    hub.faults.refuseCommit = true;
    expect(await codesOf(run)).toEqual(["hub.refused"]);
    expect(await readdir(directory)).toEqual(expect.arrayContaining(NAMES));
    hub.faults.refuseCommit = false;
    hub.requests.length = 0;
    const { deleted, uploaded } = await run();
    expect(deleted).toEqual(NAMES);
    expect(uploaded).toEqual([...NAMES, ...SMALL]);
    // The first shard was in the storage already.
    expect(hub.requests.filter((request) => request === "PUT lfs")).toHaveLength(1);
    expect(hub.commits).toEqual([[NAMES[0]], [NAMES[1]], SMALL]);
    expect((await readdir(directory)).filter((name) => name.endsWith(".safetensors"))).toEqual([]);
    // What is left here is still the model's other half.
    expect(await run()).toMatchObject({ commit: null, deleted: [] });
  });

  it("refuses an index without its shards, what is no model, and what the token may not do", async () => {
    const hub = await startHub();
    const directory = await model();
    const codes = (path: string, token: string | null) =>
      codesOf(() => push(clientOf(hub, token), options(path)));
    await rm(join(directory, NAMES[0]!));
    expect(await codes(directory, "good")).toEqual(["hub.incomplete"]);
    expect(await codes(await scratch(), "good")).toEqual(["model.not-found"]);
    expect(await codes(join(directory, "absent"), "good")).toEqual(["model.not-found"]);
    hub.tokens.set("reader", "read");
    expect(await codes(directory, "reader")).toEqual(["hub.unauthorized"]);
    hub.publicly = false;
    expect(await codes(directory, null)).toEqual(["hub.unauthorized"]);
    expect(hub.commits).toEqual([]);
    const [problem] = await diagnosticsOf(() => push(clientOf(hub, "secret-token"), options(directory)));
    expect(JSON.stringify(problem)).not.toContain("secret-token");
  });
});
