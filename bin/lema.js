#!/usr/bin/env node
/** Starts the compiled command line; says how to compile it where that has not happened. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

const entry = new URL("../dist/cli/main.js", import.meta.url);

// V8 optimizes functions later than usual, counting bytes of bytecode that they run, or how often they do. Most commands
// are over in seconds, and on their way compiling took as long as all else; what is hot for longer is optimized all the
// same. A flag that V8 does not know it names on stderr: only versions of Node that were tried get any.
const node = Number.parseInt(process.versions.node, 10);
if (node === 20) setFlagsFromString("--interrupt-budget=2000000");
if (node > 20 && node <= 24) setFlagsFromString("--invocation-count-for-turbofan=30000");
// Objects that live briefly get their full room at once instead of by doubling, each with a collection in between; from
// Node 24 on that room is several times as large, and not worth its memory.
if (node >= 20 && node < 24) setFlagsFromString("--semi-space-growth-factor=16");

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
