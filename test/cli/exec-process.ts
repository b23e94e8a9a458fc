/** The command line as a process of its own, for tests that send signals to it. */
import { runCli } from "../../cli/main.ts";

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});
