/**
 * The steps of a run on a GPU machine: each is a program with a limit, whose last lines and time are kept, and the
 * results are written after each, so that a run that is cut off leaves all it has found.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface Step {
  readonly name: string;
  /** `late`: there was no time left to begin it. */
  readonly status: "ok" | "failed" | "late";
  readonly seconds: number;
  /** The last lines of what it printed. */
  readonly output: string;
  /** The JSON objects that it printed, a line each or one as a whole. */
  readonly facts: readonly unknown[];
}

export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** What it has to print to have done anything, such as a test that was not skipped. */
  readonly expects?: RegExp;
}

const KEPT_LINES = 60;
/** Less is not worth beginning a step. */
const LEAST_SECONDS = 5;

export class Steps {
  readonly #file: string;
  /** In milliseconds of `performance.now()`. */
  readonly #deadline: number;
  readonly #steps: Step[] = [];
  #summary: unknown = null;

  constructor(file: string, seconds: number) {
    this.#file = file;
    this.#deadline = performance.now() + 1000 * seconds;
    mkdirSync(dirname(file), { recursive: true });
  }

  get failed(): boolean {
    return this.#steps.some(({ status }) => status === "failed");
  }

  /** Whether it ended well; what it printed is in the results. */
  async run({ name, command: [program, ...argv], env, expects = /^/ }: Program): Promise<Step> {
    const left = Math.floor((this.#deadline - performance.now()) / 1000);
    if (left < LEAST_SECONDS) return this.#add({ name, status: "late", seconds: 0, output: "", facts: [] });
    const began = performance.now();
    const { ok, text } = await outputOf(program, argv, { ...process.env, ...env }, left);
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const output = text.trimEnd().split("\n").slice(-KEPT_LINES).join("\n");
    const status = ok && expects.test(text) ? "ok" : "failed";
    return this.#add({ name, status, seconds, output, facts: factsOf(text) });
  }

  /** What the steps so far amount to; written with the next step, or now. */
  summarize(summary: unknown): void {
    this.#summary = summary;
    this.#save();
  }

  #add(step: Step): Step {
    this.#steps.push(step);
    process.stderr.write(`${step.status.padEnd(6)} ${step.seconds.toFixed(1).padStart(6)} s  ${step.name}\n`);
    if (step.status === "failed") process.stderr.write(`${step.output.split("\n").slice(-10).join("\n")}\n`);
    this.#save();
    return step;
  }

  #save(): void {
    const results = { ok: !this.failed, summary: this.#summary, steps: this.#steps };
    writeFileSync(this.#file, `${JSON.stringify(results, null, 2)}\n`);
  }
}

function outputOf(
  program: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  limitSeconds: number,
): Promise<{ ok: boolean; text: string }> {
  return new Promise((resolve) => {
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, argv, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const timer = setTimeout(() => {
      text += `\nstopped after ${limitSeconds} s, when the time of the whole run was over\n`;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, 1000 * limitSeconds);
    const end = (ok: boolean): void => {
      clearTimeout(timer);
      resolve({ ok, text });
    };
    child.on("error", (error) => {
      text += error.message;
      end(false);
    });
    child.on("close", (code) => end(code === 0));
  });
}

/** Objects that stand on a line of their own, or the whole text where that is one. */
export function factsOf(text: string): unknown[] {
  const parsed = (candidate: string): unknown[] => {
    try {
      const value: unknown = JSON.parse(candidate);
      return typeof value === "object" && value !== null ? [value] : [];
    } catch {
      return [];
    }
  };
  const whole = parsed(text);
  if (whole.length > 0) return whole;
  return text.split("\n").flatMap((line) => (line.startsWith("{") ? parsed(line) : []));
}
