/** `lema kaggle` as a user meets it; Kaggle's official command is a stand-in. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { COMPLETE, FAILED, QUEUED, type Reply, RUNNING, standIn } from "../kaggle/stand-in.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const RECIPE = `lema: 1
model: org/model
dataset: {path: rows.jsonl, format: prompt-completion}
sequence: {length: 32}
adapter: {rank: 2}
training: {steps: 3, batch_size: 2, learning_rate: 1e-3}
memory: {ram: 1 GiB, vram: 1 GiB}
hardware: t4
output: runs/small
`;
const ROWS = '{"prompt": "1+1=", "completion": "2"}\n';
const ADDRESS = "someone/lema-tiny-train";

const project = (files: Readonly<Record<string, string>> = {}): string =>
  directoryWith({ "tiny.yaml": RECIPE, "rows.jsonl": ROWS, ...files });

describe("lema kaggle build", () => {
  it("writes notebooks with their metadata, and says where and for which machine", async () => {
    const cwd = project();
    const { exit, stdout, stderr } = await lema(["kaggle", "build", "tiny.yaml", "--user", "Someone"], {
      cwd,
    });
    expect(exit, stderr).toBe(0);
    expect(stdout).toMatch(/^kaggle\/tiny\/train: someone\/lema-tiny-train, \d+ KiB$/m);
    expect(stdout).toContain("machine: NvidiaTeslaT4; the notebook plans for what it finds there\n");
    expect(stderr).toBe("start it with: lema kaggle push kaggle/tiny/train\n");
    const folder = join(cwd, "kaggle/tiny/train");
    const metadata = JSON.parse(readFileSync(join(folder, "kernel-metadata.json"), "utf8"));
    expect(metadata).toMatchObject({ id: ADDRESS, enable_gpu: true, machine_shape: "NvidiaTeslaT4" });
    const { cells } = JSON.parse(readFileSync(join(folder, metadata.code_file), "utf8"));
    const ids = cells.map(({ id }: { id: string }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(["lema", "recipe", "machine", "plan", "execute", "merge"]));
    expect(cells[0].source).toContain(RECIPE.trim());
    expect(Buffer.byteLength(JSON.stringify(cells))).toBeLessThan(1e6);
  });

  it("writes the same bytes again", async () => {
    const [first, second] = [project(), project()];
    for (const cwd of [first, second])
      expect((await lema(["kaggle", "build", "tiny.yaml", "--user", "a", "-o", "k"], { cwd })).exit).toBe(0);
    const name = "k/train/lema-tiny-train.ipynb";
    expect(readFileSync(join(first, name))).toEqual(readFileSync(join(second, name)));
  });

  it("takes account, name, machine and attached datasets as told", async () => {
    const cwd = project();
    const env = { HOME: cwd, KAGGLE_USERNAME: "from-env" };
    const options = ["--name", "My run", "--accelerator", "none", "--attach", "a/b", "--public", "--json"];
    options.push("--attach-model", "meta/llama/transformers/1b/2");
    const { exit, stdout } = await lema(["kaggle", "build", "tiny.yaml", ...options], { cwd, env });
    expect(exit).toBe(0);
    const { accelerator, notebooks } = JSON.parse(stdout);
    expect(accelerator).toBeNull();
    expect(notebooks[0]).toMatchObject({
      directory: "kaggle/My run/train",
      notebook: "from-env/lema-my-run-train",
    });
    const metadata = JSON.parse(readFileSync(join(cwd, "kaggle/My run/train/kernel-metadata.json"), "utf8"));
    expect(metadata).toMatchObject({ is_private: false, enable_gpu: false, dataset_sources: ["a/b"] });
    expect(metadata.model_sources).toEqual(["meta/llama/transformers/1b/2"]);
  });

  it("goes on with the run of an earlier notebook, which is attached to one of another name", async () => {
    const cwd = project();
    const argv = ["kaggle", "build", "tiny.yaml", "--user", "someone", "--continue", ADDRESS];
    const same = await lema(argv, { cwd });
    expect(same).toMatchObject({ exit: 1, stderr: expect.stringContaining("`--name tiny-2`") });
    const { exit, stderr } = await lema([...argv, "--name", "tiny-2", "--hours", "9"], { cwd });
    expect(exit, stderr).toBe(0);
    const at = (file: string) => JSON.parse(readFileSync(join(cwd, "kaggle/tiny-2", file), "utf8"));
    expect(at("train/kernel-metadata.json")).toMatchObject({
      id: "someone/lema-tiny-2-train",
      kernel_sources: [ADDRESS],
    });
    expect(at("chat/kernel-metadata.json").kernel_sources).toEqual(["someone/lema-tiny-2-train"]);
    const { cells } = at("train/lema-tiny-2-train.ipynb");
    const { source } = cells.find(({ id }: { id: string }) => id === "settings");
    expect(source).toContain('\\"continues\\":true,\\"hours\\":9');
  });

  it.each([
    [[], "kaggle.no-user"],
    [["--user", "a", "--continue", "tiny"], "cli.usage"],
    [["--user", "a", "--hours", "0"], "cli.usage"],
    [["--user", "a", "--accelerator", "fast one"], "cli.usage"],
    [["--user", "a", "--attach", "nothing"], "cli.usage"],
    [["--user", "a", "--attach-model", "meta/llama"], "cli.usage"],
  ])("refuses %j with %s", async (options, code) => {
    const { exit, stderr } = await lema(["kaggle", "build", "tiny.yaml", ...options], { cwd: project() });
    expect(exit).toBe(1);
    expect(stderr).toContain(`[${code}]`);
  });

  it("refuses a notebook that Kaggle would not take, naming what is large in it", async () => {
    const random = Array.from({ length: 12_000 }, (_, i) => Math.sin(i).toString(36)).join(" ");
    const rows = Array.from({ length: 8 }, (_, i) =>
      JSON.stringify({ prompt: `${i}`, completion: `${i}${random}` }),
    );
    const cwd = project({ "rows.jsonl": rows.join("\n").replace(/0\./g, (_, at) => `${at}.`) });
    const { exit, stderr } = await lema(["kaggle", "build", "tiny.yaml", "--user", "a"], { cwd });
    expect(exit).toBe(1);
    expect(stderr).toContain("[kaggle.too-large]");
    expect(stderr).toMatch(/cell recipe: [\d.]+ [KM]iB/);
    expect(existsSync(join(cwd, "kaggle"))).toBe(false);
  });
});

describe("with Kaggle's official command", () => {
  const PUSHED: Reply = {
    stdout: `Kernel version 2 successfully pushed.  Please check progress at https://www.kaggle.com/code/${ADDRESS}\n`,
    stderr: "Warning: 'NvidiaTeslaP100' is retired.\n",
  };
  /** A directory as `build` leaves it. */
  const built = (): string =>
    directoryWith({ "train/kernel-metadata.json": JSON.stringify({ id: ADDRESS, code_file: "x.ipynb" }) });

  async function run(argv: readonly string[], ...replies: readonly Reply[]) {
    const cwd = built();
    const { env, calls } = standIn(replies);
    const outcome = await lema(["kaggle", ...argv], { cwd, env });
    return { ...outcome, cwd, calls: calls() };
  }

  it("push starts a session and says how to watch it", async () => {
    const { exit, stdout, stderr, calls, cwd } = await run(["push", "train"], PUSHED);
    expect({ exit, stdout, stderr }).toEqual({
      exit: 0,
      stdout: `${ADDRESS}, version 2 is on its way: https://www.kaggle.com/code/${ADDRESS}\n`,
      stderr: `kaggle: Warning: 'NvidiaTeslaP100' is retired.\nwatch it with: lema kaggle status ${ADDRESS} --follow\n`,
    });
    expect(calls).toEqual([["kernels", "push", "-p", join(cwd, "train")]]);
    const { stdout: json } = await run(["push", "train", "--json"], PUSHED);
    expect(JSON.parse(json)).toMatchObject({ notebook: ADDRESS, version: 2 });
  });

  it("push fails where the error is only printed", async () => {
    const { exit, stderr } = await run(["push", "train"], {
      stdout: "Kernel push error: Notebook not found\n",
    });
    expect(exit).toBe(1);
    expect(stderr).toContain("Kernel push error: Notebook not found");
    expect(stderr).toContain("[kaggle.refused]");
  });

  it("push wants a directory that build wrote", async () => {
    const { exit, stderr, calls } = await run(["push", "elsewhere"], PUSHED);
    expect(exit).toBe(1);
    expect(stderr).toContain("elsewhere has no kernel-metadata.json");
    expect(calls).toEqual([]);
  });

  it("status says the state, of a directory or an address", async () => {
    const named = await run(["status", ADDRESS], RUNNING);
    expect({ exit: named.exit, stdout: named.stdout }).toEqual({ exit: 0, stdout: "RUNNING\n" });
    const { stdout, calls } = await run(["status", "train", "--json"], COMPLETE);
    expect(JSON.parse(stdout)).toEqual({ notebook: ADDRESS, state: "COMPLETE", failure: null });
    expect(calls).toEqual([["kernels", "status", ADDRESS]]);
  });

  it("status exits with 1 for a session that failed", async () => {
    const { exit, stdout, stderr } = await run(["status", "train"], FAILED);
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: "ERROR\n" });
    expect(stderr).toContain("[kaggle.session-failed]");
    expect(stderr).toContain("Your notebook ran out of memory");
  });

  it("status --follow asks until the session has ended", async () => {
    const { exit, stdout, calls } = await run(
      ["status", "train", "--follow", "--interval", "1"],
      QUEUED,
      RUNNING,
      COMPLETE,
    );
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: "QUEUED\nRUNNING\nCOMPLETE\n" });
    expect(calls).toHaveLength(3);
  });

  it("logs prints what the notebook printed, at once or as it comes", async () => {
    const stored = JSON.stringify([{ stream_name: "stdout", time: 1, data: "step 1\n" }]);
    expect((await run(["logs", "train"], { stdout: stored })).stdout).toBe("step 1\n");
    const followed = await run(["logs", "train", "--follow"], { stdout: "step 1\nstep 2\n" });
    expect(followed.stdout).toBe("step 1\nstep 2\n");
    expect(followed.calls).toEqual([["kernels", "logs", "--follow", ADDRESS]]);
  });

  it("output fetches into a folder of the notebook's name, or where it is told to", async () => {
    const { exit, stdout, calls, cwd } = await run(["output", ADDRESS], { stdout: "one\n" });
    expect({ exit, stdout }).toEqual({
      exit: 0,
      stdout: `Fetched the output of ${ADDRESS} into lema-tiny-train\n`,
    });
    expect(calls[0]).toEqual([
      "kernels",
      "output",
      ADDRESS,
      "-p",
      join(cwd, "lema-tiny-train"),
      "--page-size",
      "200",
    ]);
    const forced = await run(["output", ADDRESS, "-o", "here", "--force"], { stdout: "" });
    expect(forced.calls[0]!.slice(-1)).toEqual(["--force"]);
    expect(forced.stdout).toContain("into here");
  });
});

it("says what a notebook lacks where lema itself is not compiled", async () => {
  const { packageFiles } = await import("../../kaggle/package-files.ts");
  const empty = directoryWith({ "package.json": "{}" });
  await expect(packageFiles(empty)).rejects.toThrow("kaggle.not-built");
});
