/** A stand-in for Kaggle's official command: it records what it is asked, and answers as it is told. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface Reply {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit?: number;
}

export interface StandIn {
  /** To run lema with. */
  readonly env: Readonly<Record<string, string>>;
  /** Every call's arguments, `--version` left out. */
  calls(): string[][];
}

/** Answers call after call with `replies`, the last one for all that follow. */
export function standIn(replies: readonly Reply[], version = "Kaggle CLI 2.2.5"): StandIn {
  const directory = mkdtempSync(join(tmpdir(), "lema-kaggle-"));
  const bin = join(directory, "bin");
  mkdirSync(bin);
  const log = join(directory, "calls.jsonl");
  writeFileSync(log, "");
  writeFileSync(join(directory, "replies.json"), JSON.stringify(replies));
  const program = `#!${process.execPath}
    const { appendFileSync, readFileSync } = require("node:fs");
    const argv = process.argv.slice(2);
    if (argv[0] === "--version") {
      console.log(${JSON.stringify(version)});
    } else {
      const replies = JSON.parse(readFileSync(${JSON.stringify(join(directory, "replies.json"))}, "utf8"));
      const count = readFileSync(${JSON.stringify(log)}, "utf8").split("\\n").length - 1;
      appendFileSync(${JSON.stringify(log)}, JSON.stringify(argv) + "\\n");
      const { stdout = "", stderr = "", exit = 0 } = replies[Math.min(count, replies.length - 1)];
      process.stdout.write(stdout);
      process.stderr.write(stderr);
      process.exitCode = exit;
    }
  `;
  writeFileSync(join(bin, "kaggle"), program);
  chmodSync(join(bin, "kaggle"), 0o755);
  return {
    env: { HOME: directory, PATH: [bin, "/usr/bin", "/bin"].join(delimiter) },
    calls: () =>
      readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as string[]),
  };
}

export const RUNNING: Reply = { stdout: 'someone/lema-tiny-train has status "KernelWorkerStatus.RUNNING"\n' };
export const QUEUED: Reply = { stdout: 'someone/lema-tiny-train has status "KernelWorkerStatus.QUEUED"\n' };
export const COMPLETE: Reply = {
  stdout: 'someone/lema-tiny-train has status "KernelWorkerStatus.COMPLETE"\n',
};
export const FAILED: Reply = {
  stdout:
    'someone/lema-tiny-train has status "KernelWorkerStatus.ERROR"\nFailure message: "Your notebook ran out of memory"\n',
};
