/**
 * The notebook at work, on this machine's processor: its cells run in Python, in folders of their own, with the model on
 * a Hub on loopback and the native module attached as a dataset would be. (.ci/run also has it build the module.)
 */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runSchema } from "../../schemas/run.ts";
import { platformManifest } from "../../scripts/package/manifests.ts";
import { lema } from "../cli/run-in-process.ts";
import { MockHub } from "../hub/mock-hub.ts";
import { DATASET_OPTIONS, makeTinyProject } from "./tiny-project.ts";

const python = spawnSync("python3", ["--version"]).status === 0;
const RUNNER = resolve(import.meta.dirname, "run_cells.py");

/** A dozen processes one after another; half a minute on two cores that have nothing else to do. */
const SESSION_TIMEOUT = 300_000;

const hub = new MockHub();
let root: string;
const TRAINING = (): string => at("kaggle/tiny/train/lema-tiny-train.ipynb");
const at = (...path: readonly string[]): string => join(root, ...path);

beforeAll(async () => {
  await hub.start();
  root = mkdtempSync(join(tmpdir(), "lema-notebook-"));
  await makeTinyProject(root, "org/model");
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
    hub.put(name, readFileSync(at("model", name)));
  hub.put("model.safetensors", readFileSync(at("model/model.safetensors")), true);
  mkdirSync(at("attached/native"), { recursive: true });
  copyFileSync("build/native/Release/lema.node", at("attached/native/lema.node"));
  const source = JSON.parse(readFileSync("package.json", "utf8"));
  writeFileSync(
    at("attached/native/package.json"),
    JSON.stringify(platformManifest(source, "linux-x64", "2.34")),
  );
  // A machine that has been measured is not measured again.
  mkdirSync(at("config/lema"), { recursive: true });
  copyFileSync("recipes/hardware/cpu-2core.yaml", at("config/lema/hardware.yaml"));
  expect((await lema(["dataset", "build", ...DATASET_OPTIONS], { cwd: root })).exit).toBe(0);
  const { exit, stderr } = await lema(["kaggle", "build", "tiny.yaml", "--user", "someone"], { cwd: root });
  expect(exit, stderr).toBe(0);
});
afterAll(() => {
  hub.stop();
  rmSync(root, { recursive: true, force: true });
});

/** A session: the folders that Kaggle gives a notebook, its search path, and what the cells print. */
async function session(
  notebook: string,
  name: string,
  attached: string,
  programs: Readonly<Record<string, string>> = {},
) {
  const bin = at(name, "bin");
  mkdirSync(bin, { recursive: true });
  for (const [program, text] of Object.entries(programs)) {
    writeFileSync(join(bin, program), text);
    chmodSync(join(bin, program), 0o755);
  }
  const child = spawn("python3", [RUNNER, notebook], {
    cwd: at(name),
    env: {
      PATH: [bin, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter),
      HOME: at(name),
      XDG_CONFIG_HOME: at("config"),
      // No toolkit of this machine gets in.
      CUDA_HOME: at("no-cuda"),
      HF_ENDPOINT: hub.endpoint,
      LEMA_KEEP: at(name, "kept"),
      LEMA_WORK: at(name, "work"),
      LEMA_INPUT: attached,
    },
  });
  let text = "";
  for (const sink of [child.stdout, child.stderr]) {
    sink.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
  }
  const exit = await new Promise<number>((done) => child.on("close", (code) => done(code ?? -1)));
  return { exit, text };
}

describe.runIf(python)("the training notebook", () => {
  let first: Awaited<ReturnType<typeof session>>;

  beforeAll(async () => {
    first = await session(TRAINING(), "first", at("attached"), { "nvidia-smi": "#!/bin/sh\nexit 9\n" });
  }, SESSION_TIMEOUT);

  it("unpacks lema, builds the data, pulls the model, plans for this machine, trains and merges", () => {
    const { exit, text } = first;
    expect(exit, text).toBe(0);
    expect(text).toMatch(/^native module: attached, .*lema\.node$/m);
    expect(text).toContain("runs on the processor, not on a GPU: there is none\n");
    expect(text).toContain("  hardware: auto\n  memory.vram: (removed)\n");
    expect(text).toContain(`org/model at ${hub.commit}`);
    expect(text).toMatch(/^finished: 2 of 2 steps on /m);

    const rebuilt = readFileSync(at("first/work/project/data/reply.jsonl"), "utf8");
    expect(rebuilt).toBe(readFileSync(at("data/reply.jsonl"), "utf8"));
    const record = runSchema.parse(JSON.parse(readFileSync(at("first/kept/run/run.json"), "utf8")));
    expect(record).toMatchObject({ status: "finished", steps: 2, backend: "cpu" });
    expect(existsSync(at("first/kept/run/final/adapter_model.safetensors"))).toBe(true);
    expect(existsSync(at("first/kept/merged/model.safetensors"))).toBe(true);
  });

  it("asks the model and its base the held-out questions", () => {
    expect(first.text).toMatch(/^all +3 /m);
    expect(first.text).toMatch(/^base, asked the same +3 /m);
  });

  it.each([
    ["the merged model", [], /^model: .*kept\/merged$/m],
    ["the run with its base, where the merged model was not kept", ["kept/merged"], /^model: .*kept\/run$/m],
  ])("leaves what the other notebook replies from: %s", async (what, removed, model) => {
    const name = `replies-${removed.length}`;
    cpSync(at("first/kept"), at(name, "attached/kept"), { recursive: true });
    cpSync(at("attached"), at(name, "attached"), { recursive: true });
    for (const path of removed) rmSync(at(name, "attached", path), { recursive: true });
    const notebook = at("kaggle/tiny/chat/lema-tiny-chat.ipynb");
    const { exit, text } = await session(notebook, name, at(name, "attached"));
    expect(exit, `${what}: ${text}`).toBe(0);
    expect(text).toMatch(model);
    const replies = text.slice(text.indexOf("[reply]"));
    expect(replies.match(/lema\.js chat /g)).toHaveLength(2);
  });

  it(
    "leaves what the other notebook writes on with, where the recipe has no conversations",
    async () => {
      const prompts = at("prompts.yaml");
      const recipe = readFileSync(at("tiny.yaml"), "utf8");
      writeFileSync(
        prompts,
        recipe.replace("format: chat, template: lema-reply", "format: prompt-completion"),
      );
      expect(
        (await lema(["kaggle", "build", prompts, "--user", "someone", "-o", at("p")], { cwd: root })).exit,
      ).toBe(0);
      const notebook = at("p/chat/lema-prompts-chat.ipynb");
      const { exit, text } = await session(notebook, "replies-1", at("replies-1/attached"));
      expect(exit, text).toBe(0);
      expect(text.slice(text.indexOf("[reply]")).match(/lema\.js generate /g)).toHaveLength(2);
    },
    SESSION_TIMEOUT,
  );

  it("says which GPU it found, and why it runs on the processor all the same", async () => {
    const { exit, text } = await session(
      at("kaggle/tiny/train/lema-tiny-train.ipynb"),
      "second",
      at("attached"),
      {
        "nvidia-smi": "#!/bin/sh\necho 'Tesla T4, 15360, 7.5'\necho 'Tesla T4, 15360, 7.5'\n",
      },
    );
    expect(exit, text).toBe(0);
    expect(text).toContain("GPU      2 × Tesla T4, 15360 MiB, compute capability 7.5\n");
    expect(text).toMatch(
      /runs on the processor, not on a GPU: (?:there is no CUDA toolkit|this lema has no CUDA)/,
    );
  });

  it(
    "stops before Kaggle does, and goes on in another session to the same adapter",
    async () => {
      const build = [
        "kaggle",
        "build",
        "tiny.yaml",
        "--user",
        "someone",
        "-o",
        at("more"),
        "--name",
        "tiny-2",
      ];
      const more = await lema([...build, "--continue", "someone/lema-tiny-train"], { cwd: root });
      expect(more.exit, more.stderr).toBe(0);
      const short = readFileSync(TRAINING(), "utf8").replace(
        '\\\\\\"hours\\\\\\":11',
        '\\\\\\"hours\\\\\\":0',
      );
      writeFileSync(at("short.ipynb"), short);
      const begun = await session(at("short.ipynb"), "begun", at("attached"));
      expect(begun.exit, begun.text).toBe(0);
      expect(begun.text).toMatch(/^stopped: \d of 2 steps on /m);
      expect(begun.text).toContain(
        "lema kaggle build RECIPE --name ANOTHER --continue someone/lema-tiny-train",
      );
      expect(existsSync(at("begun/kept/merged"))).toBe(false);

      cpSync(at("begun/kept"), at("begun/attached/lema-tiny-train"), { recursive: true });
      cpSync(at("attached"), at("begun/attached"), { recursive: true });
      // A session that was ended from outside leaves the lock of a machine that is gone.
      const lock = { host: "elsewhere", pid: 1, started: null };
      writeFileSync(at("begun/attached/lema-tiny-train/run/lock.json"), JSON.stringify(lock));
      rmSync(at("begun/kept"), { recursive: true });
      const notebook = at("more/train/lema-tiny-2-train.ipynb");
      const ended = await session(notebook, "begun", at("begun/attached"));
      expect(ended.exit, ended.text).toBe(0);
      expect(ended.text).toMatch(/^goes on with .*lema-tiny-train\/run, \d steps of it done$/m);
      expect(ended.text).toMatch(/^finished: 2 of 2 steps on /m);
      const adapter = "kept/run/final/adapter_model.safetensors";
      expect(readFileSync(at("begun", adapter)).equals(readFileSync(at("first", adapter)))).toBe(true);

      const finished = await session(notebook, "finished", at("replies-0/attached"));
      expect(finished.exit).toBe(1);
      expect(finished.text).toMatch(/RuntimeError: no run that could go on lies in .*: it is finished/);
    },
    SESSION_TIMEOUT,
  );

  it("ends where a step fails, with what failed above", async () => {
    hub.exists = false;
    const { exit, text } = await session(
      at("kaggle/tiny/train/lema-tiny-train.ipynb"),
      "third",
      at("attached"),
    );
    hub.exists = true;
    expect(exit).toBe(1);
    expect(text).toContain("[hub.not-found]");
    expect(text).toMatch(/RuntimeError: \S*node ended with exit code 1; what it said stands above/);
    expect(text).not.toContain("[plan]");
  });

  it("refuses a notebook that was damaged", async () => {
    const path = TRAINING();
    const content = JSON.parse(readFileSync(path, "utf8")) as { cells: { id: string; source: string }[] };
    const cell = content.cells.find(({ id }) => id === "recipe")!;
    cell.source = cell.source.replace(/"""\n(.)/, (_, first: string) => `"""\n${first === "A" ? "B" : "A"}`);
    writeFileSync(at("damaged.ipynb"), JSON.stringify(content));
    const { exit, text } = await session(at("damaged.ipynb"), "fourth", at("attached"));
    expect(exit).toBe(1);
    expect(text).toContain("this notebook was damaged: build it again");
  });
});
