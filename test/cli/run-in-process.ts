/** Drives the command line in this process, in a directory of its own. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import type { CommandRegistry } from "../../cli/context.ts";
import { runCli } from "../../cli/main.ts";

export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  /** What is typed; nothing by default. */
  readonly stdin?: string;
  /** Other commands than the real ones. */
  readonly registry?: CommandRegistry;
}

/** Of every command that names no other: nothing of the user's own caches and profiles gets in or out. */
export const home = mkdtempSync(join(tmpdir(), "lema-home-"));

export async function lema(argv: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> {
  const { cwd = process.cwd(), isTTY = false, columns, stdin = "", registry } = surroundings;
  const env = { HOME: home, ...surroundings.env };
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    isTTY,
    columns,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const input = Readable.from([stdin]);
  const exit = await runCli(
    argv,
    { stdin: input, stdout: sink("stdout"), stderr: sink("stderr"), env, cwd },
    registry,
  );
  return { exit, ...written };
}

/** A fresh directory that holds the given files. */
export function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "lema-cli-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return directory;
}
