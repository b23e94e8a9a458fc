/** The command line from its sources, as a process of its own: for tests that send signals to it, and bench/cuda/run.ts. */
import { runCli } from "../../cli/main.ts";

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});
