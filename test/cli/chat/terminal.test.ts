/** `lema chat` in a real terminal, which util-linux's `script` makes: editing, history, Ctrl-C and Ctrl-D. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const MODEL = resolve("assets/lema-mini");
const absent = spawnSync("script", ["--version"]).error !== undefined;

const KEYS = { enter: "\r", ctrlC: "\u0003", ctrlD: "\u0004", up: "\u001b[A", left: "\u001b[D" };
const PROMPT = /> $/;

let child: ChildProcess | null = null;
afterEach(() => {
  child?.kill("SIGKILL");
});

class Terminal {
  readonly #child: ChildProcess;
  #shown = "";
  #from = 0;

  constructor(options: readonly string[]) {
    const argv = [process.execPath, "--import", "tsx", "test/cli/exec-process.ts", "chat", MODEL, ...options];
    const command = `stty cols 80 rows 24; exec ${argv.map((word) => `'${word}'`).join(" ")}`;
    this.#child = spawn("script", ["-qefc", command, "/dev/null"], {
      env: { ...process.env, NO_COLOR: "1" },
    });
    child = this.#child;
    this.#child.stdout!.on("data", (data) => {
      this.#shown += data;
    });
  }

  /** What has been shown since the last key, without colours and movements. */
  get shown(): string {
    return stripVTControlCharacters(this.#shown.slice(this.#from));
  }

  type(keys: string): void {
    this.#from = this.#shown.length;
    this.#child.stdin!.write(keys);
  }

  async shows(pattern: RegExp): Promise<void> {
    await expect.poll(() => this.shown, { timeout: 30_000 }).toMatch(pattern);
  }

  /** Waits for anything, be it a movement. */
  async moves(): Promise<void> {
    await expect.poll(() => this.#shown.length, { timeout: 30_000 }).toBeGreaterThan(this.#from);
  }

  async exit(): Promise<number> {
    const [code] = await once(this.#child, "exit");
    return code;
  }
}

describe.skipIf(absent)("lema chat in a terminal", () => {
  it("edits lines, remembers them, and leaves at Ctrl-D", async () => {
    const terminal = new Terminal([]);
    await terminal.shows(PROMPT);
    expect(terminal.shown).toContain("/help shows what you can do");
    // The letter goes in where the cursor is.
    terminal.type("What is the capital of Pru?");
    await terminal.shows(/Pru\?/);
    terminal.type(KEYS.left.repeat(3));
    await terminal.moves();
    terminal.type("e");
    await terminal.shows(/e/);
    terminal.type(KEYS.enter);
    await terminal.shows(/Lima is the capital of Peru[\s\S]*> /);
    await terminal.shows(PROMPT);
    terminal.type(`/reset${KEYS.enter}`);
    await terminal.shows(/forgotten[\s\S]*> /);
    terminal.type(KEYS.up + KEYS.up + KEYS.enter);
    await terminal.shows(/capital of Peru\?[\s\S]*Lima is the capital of Peru/);
    await terminal.shows(PROMPT);
    terminal.type(KEYS.ctrlD);
    expect(await terminal.exit()).toBe(0);
    // What comes next, such as a shell's prompt, begins its own line.
    expect(terminal.shown).toMatch(/^\r?\n$/);
  });

  it("takes lines that are pasted at once as one message, and none is lost", async () => {
    const terminal = new Terminal([]);
    await terminal.shows(PROMPT);
    terminal.type("What is the\rcapital of\rPer");
    await terminal.shows(/Per$/);
    terminal.type("u?\r");
    await terminal.shows(/\n> $/);
    terminal.type("/history\r");
    await terminal.shows(/you: What is the\s+capital of\s+Peru\?/);
    terminal.type(KEYS.ctrlD);
    expect(await terminal.exit()).toBe(0);
  });

  it("keeps what is typed during a reply for its end", async () => {
    const terminal = new Terminal(["--temperature", "100"]);
    await terminal.shows(PROMPT);
    terminal.type("Talk\r");
    await terminal.shows(/Talk[\s\S]{60}/);
    terminal.type("lat");
    terminal.type(KEYS.ctrlC);
    await terminal.shows(/\(stopped\)\s+> lat$/);
    terminal.type(`er${KEYS.ctrlC}${KEYS.ctrlD}`);
    expect(await terminal.exit()).toBe(0);
  });

  it("stops the reply at Ctrl-C and goes on; on an empty line the second leaves", async () => {
    // Nearly each of its tokens is as likely as all others, so it goes on and on.
    const terminal = new Terminal(["--temperature", "100"]);
    await terminal.shows(PROMPT);
    terminal.type(`Talk${KEYS.enter}`);
    await terminal.shows(/Talk[\s\S]{60}/);
    terminal.type(KEYS.ctrlC);
    await terminal.shows(/\(stopped\)[\s\S]*> /);
    terminal.type("half a line");
    await terminal.shows(/half a line/);
    terminal.type(KEYS.ctrlC);
    await terminal.shows(PROMPT);
    expect(terminal.shown).not.toContain("leaves");
    terminal.type(KEYS.ctrlC);
    await terminal.shows(/Ctrl-C again, Ctrl-D or \/exit leaves/);
    terminal.type(KEYS.ctrlC);
    expect(await terminal.exit()).toBe(0);
  });
});
