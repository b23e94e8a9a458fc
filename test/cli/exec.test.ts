/** `lema exec` as a user meets it: results, Ctrl-C once and twice, and going on. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { jsonText } from "../../runtime/files.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { makeFiles, makePlan } from "../runtime/small-run.ts";
import { lema, type Outcome } from "./run-in-process.ts";

const SCRIPT = resolve(import.meta.dirname, "exec-process.ts");
/** By its place: the process starts in a folder without node_modules. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-exec-"));
  await makeFiles(directory);
  for (const [output, steps] of [
    ["short", 3],
    ["long", 400],
    ["slow", 400],
  ] as const) {
    const training = `steps: ${steps}, batch_size: 4, learning_rate: 5e-3, schedule: constant`;
    const plan = await makePlan(directory, { training, checkpoint: "{every: 1000 steps}", output });
    await writeFile(join(directory, `${output}.json`), jsonText(plan));
  }
  return () => rm(directory, { recursive: true });
});

/** `lema exec` as a process; `onStderr` sees everything said so far, each time that something is said. */
function start(
  argv: readonly string[],
  onStderr: (text: string, child: ChildProcess) => void,
): { readonly child: ChildProcess; readonly ended: Promise<Outcome> } {
  const child = spawn(process.execPath, ["--import", TSX, SCRIPT, "exec", ...argv], {
    cwd: directory,
    env: { ...process.env, ...environment() },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
    onStderr(stderr, child);
  });
  const ended = new Promise<Outcome>((done, fail) => {
    child.on("error", fail);
    child.on("close", (exit, signal) =>
      exit === null ? fail(new Error(`ended by ${signal}: ${stderr}`)) : done({ exit, stdout, stderr }),
    );
  });
  return { child, ended };
}

/** Calls `act` the first time that the text holds `wanted`. */
function once(
  wanted: string,
  act: (child: ChildProcess) => void,
): (text: string, child: ChildProcess) => void {
  let done = false;
  return (text, child) => {
    if (done || !text.includes(wanted)) return;
    done = true;
    act(child);
  };
}

const environment = () => ({
  XDG_CACHE_HOME: join(directory, "cache"),
  XDG_CONFIG_HOME: join(directory, "config"),
});

async function appearance(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((tick) => setTimeout(tick, 20));
}

describe("lema exec", () => {
  it("prints the result on stdout, progress and warnings on stderr, and refuses to do it twice", async () => {
    const env = environment();
    const first = await lema(["exec", "short.json", "--json"], { cwd: directory, env });
    expect(first.stderr).toMatch(
      /^step 1\/3 {2}loss \d\.\d{4} {2}lr 5\.0e-3 .* tokens\/s .*\n(?:.*\n)*step 3\/3 /,
    );
    expect(first.exit).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      status: "finished",
      steps: 3,
      skippedSteps: 0,
      output: join(directory, "short"),
      checkpoint: join(directory, "short/final"),
    });
    const again = await lema(["exec", "short.json"], { cwd: directory, env });
    expect(again).toMatchObject({
      exit: 1,
      stdout: "",
      stderr: expect.stringContaining("run.output-exists"),
    });
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "stops cleanly on %s, and goes on from there",
    async (signal) => {
      const output = join(directory, "long");
      const stopped = await start(
        ["long.json"],
        once("step 1/400", (child) => child.kill(signal)),
      ).ended;
      expect(stopped).toMatchObject({ exit: 1, stderr: expect.stringContaining("lema exec long --resume") });
      const step = Number(/^stopped: (\d+) of 400 steps/.exec(stopped.stdout)![1]);
      expect(await readdir(output)).toContain(`checkpoint-${step}`);
      const argv = ["exec", "long", "--resume", "--steps", `${step + 2}`];
      const resumed = await lema(argv, { cwd: directory, env: environment() });
      expect(resumed).toMatchObject({
        exit: 0,
        stdout: expect.stringContaining(`stopped: ${step + 2} of 400`),
      });
      const record = JSON.parse(await readFile(join(output, "run.json"), "utf8"));
      expect(record).toMatchObject({
        status: "stopped",
        steps: step + 2,
        resumed_from: `checkpoint-${step}`,
      });
      const trained = (await readMetrics(output)).filter((row) => "loss" in row);
      expect(trained.map((row) => row.step)).toEqual(
        Array.from({ length: step + 2 }, (_, index) => index + 1),
      );
      const elsewhere = await lema([...argv, "--backend", "reference"], {
        cwd: directory,
        env: environment(),
      });
      expect(elsewhere).toMatchObject({ exit: 1, stderr: expect.stringContaining("checkpoint.elsewhere") });
      const inexact = [...argv, "--backend", "reference", "--inexact"];
      expect(await lema(inexact, { cwd: directory, env: environment() })).toMatchObject({ exit: 0 });
      await rm(output, { recursive: true });
    },
  );

  it("stops by itself, with a checkpoint, where its time is up, and that is no failure", async () => {
    const argv = ["exec", "long.json", "--time-limit", "0", "--json"];
    const { exit, stdout, stderr } = await lema(argv, { cwd: directory, env: environment() });
    expect(exit).toBe(0);
    const { status, steps, checkpoint } = JSON.parse(stdout);
    expect(status).toBe("stopped");
    expect(checkpoint).toBe(join(directory, `long/checkpoint-${steps}`));
    expect(stderr).toContain("go on with: lema exec long --resume\n");
    const endless = [...argv.slice(0, 3), "2147484"];
    expect((await lema(endless, { cwd: directory })).stderr).toContain("At most 2147483 seconds.");
    await rm(join(directory, "long"), { recursive: true });
  });

  it("says so when the process took more than its reserve", async () => {
    const output = join(directory, "over");
    const plan = await makePlan(directory, {
      training: "steps: 1, batch_size: 4, learning_rate: 5e-3",
      memory: "{ram: 64 MiB, reserve: {ram: 1 MiB}}",
      output: "over",
    });
    await writeFile(join(directory, "over.json"), jsonText(plan));
    const { exit, stderr } = await lema(["exec", "over.json"], { cwd: directory, env: environment() });
    expect(exit).toBe(0);
    expect(stderr).toContain("[run.over-budget]");
    expect(stderr).toMatch(/the process took [\d.]+ [MG]iB at its peak, and [\d.]+ MiB were planned/);
    expect(stderr).toMatch(/memory\.reserve\.ram: \d+ MiB/);
    await rm(output, { recursive: true });
  });

  it("a signal while inputs are read ends it like any other process: there is nothing to save", async () => {
    const dataset = join(directory, "data.jsonl");
    await rename(dataset, `${dataset}.aside`);
    execFileSync("mkfifo", [dataset]);
    try {
      const { child, ended } = start(["long.json"], () => {});
      const opened = open(dataset, "w"); // Once the other end is open.
      await Promise.race([opened, ended]);
      child.kill("SIGINT");
      await expect(ended).rejects.toThrow("ended by SIGINT");
      await (await opened).close();
    } finally {
      await rm(dataset);
      await rename(`${dataset}.aside`, dataset);
    }
    expect(existsSync(join(directory, "long/run.json"))).toBe(false);
  });

  it("stops at once on a second signal, in the middle of the work", async () => {
    // At this rate the first weights alone take minutes.
    const { child, ended } = start(
      ["slow.json", "--disk-throttle", "1KB/s"],
      once("press Ctrl-C again", (running) => running.kill("SIGINT")),
    );
    await Promise.race([appearance(join(directory, "slow/run.json")), ended]);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ exit: 1, stderr: expect.stringContaining("run.cancelled") });
    const record = JSON.parse(await readFile(join(directory, "slow/run.json"), "utf8"));
    expect(record).toMatchObject({ status: "stopped", steps: 0 });
  });
});
