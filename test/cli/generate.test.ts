/** `lema generate` as a user meets it: text as it comes, figures beside it, and a plan that the other commands read. */
import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { hasBackend } from "../end-to-end/has-backend.ts";
import { directoryWith, lema } from "./run-in-process.ts";
import { makeSmallTraining } from "./small-training.ts";

const MINI = resolve("assets/lema-mini");
const PROMPT = "What is the capital of Peru?\n";
const ANSWER = "Lima is the capital of Peru, a country in South America.";

const cwd = directoryWith({});
const generate = (...argv: string[]) => lema(["generate", MINI, ...argv], { cwd });

describe("lema generate", () => {
  it("writes what the model says, and says how fast and in how much memory", async () => {
    const { exit, stdout, stderr } = await generate("--prompt", PROMPT);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: `${ANSWER}\n` });
    expect(stderr).toMatch(
      /^prompt: \d+ tokens in [\d.]+ s\ntext: \d+ tokens, [\d.]+ tokens\/s; ended by the model\n/,
    );
    expect(stderr).toMatch(/memory: planned 27\d MiB, measured [\d.]+ MiB\n$/);
  });

  it("takes limits of several tiers in one option or in one each", async () => {
    const dry = (...memory: string[]) => generate("--dry-run", "--hardware", "t4", ...memory);
    const once = await dry("--memory", "ram=2GiB,vram=1GiB");
    const each = await dry("--memory", "ram=2GiB", "--memory", "vram=1GiB");
    expect(once.exit, once.stderr).toBe(0);
    expect(each.stdout).toBe(once.stdout);
    expect(each.stdout).toMatch(/ram .* of 2\.00 GiB/);
  });

  it("plans for a device with memory of its own, and the plan is one that the other commands read", async () => {
    const limits = ["--hardware", "t4", "--memory", "ram=2GiB,vram=2GiB", "--context", "256"];
    const planned = await generate("--dry-run", ...limits, "--plan", "device.json");
    expect(planned.exit, planned.stderr).toBe(0);
    for (const command of [["verify"], ["show"], ["trace", "--perfetto", "trace.json"]]) {
      const { exit, stderr } = await lema([command[0]!, "device.json", ...command.slice(1)], { cwd });
      expect({ exit, stderr }).toMatchObject({ exit: 0, stderr: expect.not.stringContaining("error") });
    }
  });

  it("ends where it is told to", async () => {
    const some = await generate("--prompt", PROMPT, "--max-tokens", "3");
    expect(ANSWER.startsWith(some.stdout.trim())).toBe(true);
    expect(some.stderr).toContain("text: 3 tokens, ");
    const stopped = await generate("--prompt", PROMPT, "--stop", " capital", "--json");
    expect(JSON.parse(stopped.stdout)).toMatchObject({ text: "Lima is the", reason: "stop string" });
  });

  it("gives the same text in the least memory, which streams the weights", async () => {
    const small = await generate("--prompt", PROMPT, "--memory", "ram=1MiB");
    expect(small.exit).toBe(3);
    const least = /--memory ram=(\d+) or more/.exec(small.stderr)![1]!;
    const { exit, stdout } = await generate(
      "--prompt",
      PROMPT,
      "--memory",
      `ram=${least}`,
      "--plan",
      "least.json",
    );
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: `${ANSWER}\n` });
    const plan = JSON.parse(readFileSync(join(cwd, "least.json"), "utf8"));
    const loads = plan.programs.decode.steady.filter(({ kind }: { kind: string }) => kind === "read");
    expect(loads.length).toBeGreaterThan(10);
  });

  it("draws by the seed", async () => {
    const draw = async (seed: string) => {
      const sampling = ["--temperature", "5", "--top-k", "50", "--max-tokens", "12", "--seed", seed];
      return (await generate("--prompt", PROMPT, ...sampling)).stdout;
    };
    const [one, again, other] = [await draw("1"), await draw("1"), await draw("2")];
    expect(one).toBe(again);
    expect(one).not.toBe(other);
  });

  it("plans without running; its plans are shown and verified, and not executed", async () => {
    const dry = await generate("--dry-run", "--context", "128", "--plan", "plan.json");
    expect(dry.exit, dry.stderr).toBe(0);
    expect(dry.stdout).toMatch(/^Generation\n {2}model .*lema-mini: 10 layers/);
    expect(dry.stdout).toContain("128 positions");
    // All stays in ram, a second copy of the tied embedding too.
    expect(dry.stdout).toMatch(/disk reads {2}0 B {2}at least 0 B {2}optimal/);
    const shown = await lema(["show", "plan.json"], { cwd });
    expect(shown.stdout).toBe(dry.stdout);
    for (const argv of [
      ["verify", "plan.json"],
      ["show", "plan.json", "--instructions", "--program", "prefill"],
      ["show", "plan.json", "--why", "fwd/L03/mb0"],
      ["show", "plan.json", "--at", "50%"],
      ["show", "plan.json", "--json"],
      ["show", "plan.json", "--html", "plan.html"],
      ["trace", "plan.json", "--perfetto", "decode.json"],
      ["trace", "plan.json", "--perfetto", "prefill.json", "--program", "prefill"],
    ]) {
      const { exit, stderr } = await lema(argv, { cwd });
      expect({ argv, exit, stderr }).toEqual({ argv, exit: 0, stderr: "" });
    }
    const page = readFileSync(join(cwd, "plan.html"), "utf8");
    expect(page).toContain("<option>decode</option><option>prefill</option>");
    const executed = await lema(["exec", "plan.json"], { cwd });
    expect(executed.exit).toBe(1);
    expect(executed.stderr).toContain("plan.json is a plan to generate, not to train [plan.other-purpose]");
    expect(executed.stderr).toContain("hint: `lema show` and `lema verify` read it");
    const traced = (name: string) => JSON.parse(readFileSync(join(cwd, name), "utf8")).traceEvents.length;
    expect(traced("prefill.json")).toBeGreaterThan(10);
    for (const name of ["explain", "replay"])
      expect((await lema([name, "plan.json"], { cwd })).stderr).toContain("[run.not-found]");
    const untraced = ["trace", "plan.json", "--perfetto", "no.json", "--program", "evaluate"];
    expect((await lema(untraced, { cwd })).stderr).toContain("it has decode, prefill");
    const other = await lema(["show", "plan.json", "--program", "evaluate", "--instructions"], { cwd });
    expect(other.stderr).toContain("it has decode, prefill");
  });

  it("has its plans compared: what was asked, figures, instructions", async () => {
    await generate("--dry-run", "--context", "128", "--plan", "short.json");
    await generate("--dry-run", "--context", "256", "--plan", "long.json");
    const same = await lema(["diff", "short.json", "short.json", "--exit-code"], { cwd });
    expect(same.exit).toBe(0);
    const { exit, stdout } = await lema(["diff", "short.json", "long.json", "--exit-code"], { cwd });
    expect(exit).toBe(2);
    expect(stdout).toMatch(/\nInputs\n[\s\S]*generation\.capacity +128 +→ +256\n/);
    expect(stdout).toMatch(/Instructions of decode steady/);
    const { instructions } = JSON.parse(
      (await lema(["diff", "short.json", "long.json", "--json"], { cwd })).stdout,
    );
    expect(instructions.map(({ part }: { part: string }) => part)).toContain("prefill steady");
  });

  it("plans by the profile that it is told", async () => {
    const plan = (...argv: string[]) => generate("--dry-run", ...argv);
    expect((await plan("--hardware", "t4", "--memory", "vram=1GiB,ram=2GiB")).stdout).toContain(
      "t4: disk → ram → vram",
    );
    expect((await plan("--hardware", "laptop")).stderr).toContain("[hardware.not-found]");
    expect((await plan("--hardware", "cpu-2core", "--memory", "vram=64MiB")).stderr).toContain(
      "[hardware.no-vram-tier]",
    );
  });

  it.skipIf(hasBackend("cuda"))("says that there is no device to compute on", async () => {
    const { exit, stderr } = await generate("--backend", "cuda", "--prompt", "a");
    expect(exit).toBe(1);
    expect(stderr).toContain("[run.no-device]");
  });

  it("asks for a prompt", async () => {
    const { exit, stderr } = await generate();
    expect(exit).toBe(1);
    expect(stderr).toContain("`--prompt TEXT` is missing");
  });
});

describe("lema generate with an adapter", () => {
  let training: string;

  beforeAll(async () => {
    training = await makeSmallTraining();
    for (const argv of [
      ["plan", "recipe.yaml", "--set", "memory.ram=160 MiB", "--set", "training.learning_rate=1e-2"],
      ["exec", "runs/small"],
      ["merge", "runs/small", "-o", "merged"],
    ]) {
      const { exit, stderr } = await lema(argv, { cwd: training });
      expect(exit, stderr).toBe(0);
    }
    return () => rmSync(training, { recursive: true });
  });

  it("takes a run with its adapter, merged with it, and without", async () => {
    const text = async (...argv: string[]) => {
      const rest = ["--prompt", "1+1=", "--max-tokens", "8", "--context", "64", "--json"];
      const { exit, stdout, stderr } = await lema(["generate", ...argv, ...rest], { cwd: training });
      expect(exit, stderr).toBe(0);
      return JSON.parse(stdout).text;
    };
    const adapted = await text("runs/small");
    expect(await text("runs/small/final")).toBe(adapted);
    expect(await text("merged")).toBe(adapted);
    expect(await text("runs/small", "--no-adapter")).not.toBe(adapted);
  });
});
