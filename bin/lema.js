#!/usr/bin/env node
/** Starts the compiled command line; says how to compile it where that has not happened. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const entry = new URL("../dist/cli/main.js", import.meta.url);

if (existsSync(entry)) {
  // A reader that closes the pipe early (`lema show | head`) is no error.
  process.stdout.on("error", (error) => {
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`error (environment): cannot write to stdout: ${error.message}\n`);
    process.exit(1);
  });
  const { runCli } = await import(entry.href);
  process.exitCode = await runCli(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
  });
} else {
  const root = fileURLToPath(new URL("..", import.meta.url));
  process.stderr.write(`lema is not built yet. Run: cd ${root} && npm install && npm run build\n`);
  process.exitCode = 1;
}
