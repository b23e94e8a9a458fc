/** Long writing that Ctrl-C ends cleanly: what was half written is removed again. */
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { CommandContext } from "./context.ts";
import { StatusLine } from "./render/status-line.ts";
import { listenForStop } from "./signals.ts";

/**
 * Runs `work` with what shows its progress. Once a signal came, the next progress throws `cli.interrupted`, so that the
 * work cleans up as after any failure.
 */
export async function interruptible<T>(
  { io }: CommandContext,
  work: (show: (text: string) => void) => Promise<T>,
): Promise<T> {
  const status = new StatusLine(io.stderr);
  const signals = listenForStop(() => status.show("stopping"));
  try {
    return await work((text) => {
      if (signals.stop.aborted) throw interrupted();
      status.show(text);
    });
  } finally {
    signals.release();
    status.clear();
  }
}

function interrupted(): DiagnosticError {
  const summary = "stopped; what was half written is removed again";
  return new DiagnosticError(diagnostic("cli.interrupted", { summary }));
}
