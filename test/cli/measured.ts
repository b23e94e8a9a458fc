/** The command line as a process of its own, whose peak of memory is known. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Outcome } from "./run-in-process.ts";

/** Arguments of Node that run the command line of this checkout, in any folder; those of the command follow. */
export const COMMAND_LINE: readonly string[] = [
  "--import",
  pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href,
  resolve(import.meta.dirname, "exec-process.ts"),
];

export interface Measured extends Outcome {
  /** Resident bytes at the peak, as Linux counts them. */
  readonly peak: number;
}

export async function measured(
  argv: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "lema-measured-"));
  const file = join(folder, "status");
  const leave = `
    import { readFileSync, writeFileSync } from "node:fs";
    process.on("exit", () => writeFileSync(${JSON.stringify(file)}, readFileSync("/proc/self/status")));
  `;
  const preload = ["--import", `data:text/javascript,${encodeURIComponent(leave)}`];
  const child = spawn(process.execPath, [...preload, ...COMMAND_LINE, ...argv], {
    cwd,
    env: { ...process.env, ...env },
  });
  const written = { stdout: "", stderr: "" };
  for (const sink of ["stdout", "stderr"] as const) {
    child[sink].on("data", (text) => {
      written[sink] += text;
    });
  }
  try {
    const exit = await new Promise<number>((done) => child.on("close", (code) => done(code ?? -1)));
    const peak = 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(file, "utf8"))![1]);
    return { exit, ...written, peak };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
