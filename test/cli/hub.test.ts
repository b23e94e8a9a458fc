/** `lema pull` and `lema push` as a user meets them, and their memory over a shard of 1 GB. */
import { mkdir, mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MockHub } from "../hub/mock-hub.ts";
import { measured } from "./measured.ts";
import { lema } from "./run-in-process.ts";

const GIGABYTE = 1e9;
/** What streams, hashes and sockets may take; the file is more than ten times as large. */
const ALLOWED = 100e6;

const hub = new MockHub();
let cwd: string;

beforeAll(async () => {
  await hub.start();
  cwd = await mkdtemp(join(tmpdir(), "lema-hub-cli-"));
});
afterAll(async () => {
  hub.stop();
  await rm(cwd, { recursive: true });
});

const env = () => ({ HOME: cwd, HF_ENDPOINT: hub.endpoint, HF_TOKEN: "good" });

describe("lema push and pull", () => {
  it.runIf(process.platform === "linux")("move a shard of 1 GB in constant memory", async () => {
    const directory = join(cwd, "large");
    await mkdir(directory);
    await writeFile(join(directory, "config.json"), "{}");
    const shard = join(directory, "model.safetensors");
    const file = await open(shard, "w");
    await file.truncate(GIGABYTE);
    await file.close();

    const run = (...argv: string[]) => measured(argv, { cwd, env: env() });
    const { peak: idle } = await run("push", "nothing", "org/model");
    const pushed = await run("push", "large", "org/model", "--delete-after-upload");
    expect(pushed.exit, pushed.stderr).toBe(0);
    expect(pushed.stdout).toBe(`org/model at ${hub.commit}: 2 files uploaded, 0 unchanged, 1 removed here\n`);
    expect([...hub.storage.values()]).toEqual([GIGABYTE]);
    await expect(stat(shard)).rejects.toThrow("ENOENT");
    hub.faults.cut = { after: GIGABYTE / 3, times: 1 };
    const pulled = await run("pull", "org/model", "-o", "back");
    expect(pulled.exit, pulled.stderr).toBe(0);
    expect((await stat(join(cwd, "back/model.safetensors"))).size).toBe(GIGABYTE);
    await rm(join(cwd, "back"), { recursive: true });
    const growth = { push: pushed.peak - idle, pull: pulled.peak - idle };
    console.log(
      `1 GB: peak of memory ${growth.push} bytes above an idle lema in push, ${growth.pull} in pull`,
    );
    expect(growth.push).toBeLessThan(ALLOWED);
    expect(growth.pull).toBeLessThan(ALLOWED);
  });

  it("write to models/NAME, and say what was done", async () => {
    hub.files.clear();
    hub.put("config.json", "{}");
    hub.put("model.safetensors", "weights", true);
    const first = await lema(["pull", "org/model"], { cwd, env: env() });
    expect(first).toEqual({
      exit: 0,
      stderr: "",
      stdout: `models/model: org/model at ${hub.commit}, 9 B in 2 files\n`,
    });
    const again = await lema(["pull", "org/model", "--json"], { cwd, env: env() });
    expect(JSON.parse(again.stdout)).toMatchObject({ repo: "org/model", commit: hub.commit, present: 9 });
    const push = await lema(["push", "models/model", "org/model"], { cwd, env: env() });
    expect(push.stdout).toBe("org/model holds all 2 files already\n");
  });

  it.each([["model"], ["../model"], ["org/.."], ["https://huggingface.co/org/model"]])(
    "refuse %s, which is no repository",
    async (name) => {
      const { exit, stderr } = await lema(["pull", name], { cwd, env: env() });
      expect(exit).toBe(1);
      expect(stderr).toContain("cli.usage");
    },
  );

  it("show progress on a terminal", async () => {
    const { stderr } = await lema(["pull", "org/model", "-o", "shown"], { cwd, env: env(), isTTY: true });
    expect(stderr).toMatch(/model\.safetensors {2}\d+ % of 9 B/);
  });
});
