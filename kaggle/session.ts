/** A notebook's session on Kaggle: started by a push, watched, read, and fetched, all through the official command. */
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type OfficialCli, refuse } from "./official-cli.ts";

export interface Pushed {
  readonly version: number | null;
  readonly url: string;
  /** What was pushed otherwise than asked for, in Kaggle's words. */
  readonly warnings: readonly string[];
}

/** Starts a session of the notebook in `directory`. Throws `kaggle.refused`: the command prints errors and exits with 0. */
export async function push(cli: OfficialCli, directory: string): Promise<Pushed> {
  const answer = await cli.ask(["kernels", "push", "-p", directory]);
  const done = /^Kernel version (?:(\d+) )?successfully \w.*?(https?:\/\/\S+)\s*$/m.exec(answer.stdout);
  if (answer.exit !== 0 || done === null) refuse("Kaggle did not take the notebook", answer);
  const said = `${answer.stderr}\n${answer.stdout}`.split("\n").map((line) => line.trim());
  return {
    version: done[1] === undefined ? null : Number(done[1]),
    url: done[2]!,
    warnings: said.filter(
      (line) => line !== "" && !line.startsWith("Kernel version ") && !isAdvertisement(line),
    ),
  };
}

export interface SessionStatus {
  /** Kaggle's word, such as `RUNNING`. */
  readonly state: string;
  readonly failure: string | null;
}

const FAILED = new Set(["ERROR", "CANCEL_ACKNOWLEDGED"]);

/** Throws `kaggle.refused`. */
export async function status(cli: OfficialCli, address: string): Promise<SessionStatus> {
  const answer = await cli.ask(["kernels", "status", address]);
  // An enum's member as Python prints it, or only its value.
  const state = /has status "(?:\w+\.)?(\w+)"/.exec(answer.stdout)?.[1];
  if (answer.exit !== 0 || state === undefined) refuse(`the state of ${address} is not told`, answer);
  const failure = /Failure message: "([\s\S]*)"/.exec(answer.stdout)?.[1] ?? null;
  return { state: state.toUpperCase(), failure };
}

/** How often in a row the state may not be told while a session is followed: networks have pauses. */
const PATIENCE = 5;

/** Asks until the session ends; says each new state. Throws `kaggle.session-failed` and `kaggle.refused`. */
export async function follow(
  cli: OfficialCli,
  address: string,
  wait: () => Promise<void>,
  onState: (status: SessionStatus) => void,
): Promise<void> {
  let last = "";
  for (let failures = 0; ; await wait()) {
    const found = await status(cli, address).catch((error: unknown) => {
      failures += 1;
      if (failures >= PATIENCE || !(error instanceof DiagnosticError)) throw error;
      return null;
    });
    if (found === null) continue;
    failures = 0;
    if (found.state !== last) onState(found);
    last = found.state;
    if (found.state === "COMPLETE") return;
    if (FAILED.has(found.state)) throw sessionFailed(address, found);
  }
}

export function sessionFailed(address: string, { state, failure }: SessionStatus): DiagnosticError {
  return new DiagnosticError(
    diagnostic("kaggle.session-failed", {
      summary: `the session of ${address} ended as ${state}`,
      ...(failure !== null && { detail: failure }),
      hint: `read its log: \`lema kaggle logs ${address}\``,
    }),
  );
}

/** Whether a session has ended, and not well. */
export const hasFailed = ({ state }: SessionStatus): boolean => FAILED.has(state);

/** The log of the newest session as the notebook printed it. Throws `kaggle.refused`. */
export async function logs(cli: OfficialCli, address: string): Promise<string> {
  const answer = await cli.ask(["kernels", "logs", address]);
  if (answer.exit !== 0) refuse(`${address} has no log to read`, answer);
  return logText(answer.stdout);
}

/** The log while it grows, until the session ends. Throws `kaggle.refused`. */
export async function followLogs(
  cli: OfficialCli,
  address: string,
  onText: (text: string) => void,
): Promise<void> {
  const answer = await cli.ask(["kernels", "logs", "--follow", address], onText);
  if (answer.exit !== 0) refuse(`the log of ${address} cannot be followed`, answer);
}

/** A log is stored as a JSON list of pieces; `data` of each is what was printed. Other text is left as it is. */
export function logText(stored: string): string {
  try {
    const pieces = JSON.parse(stored) as { readonly data?: unknown }[];
    return pieces.map(({ data }) => (typeof data === "string" ? data : "")).join("");
  } catch {
    return stored;
  }
}

/** Fetches what a session has kept into `directory`, all pages of it. Throws `kaggle.refused`. */
export async function output(
  cli: OfficialCli,
  address: string,
  directory: string,
  existing: "keep" | "replace",
  onText: (text: string) => void,
): Promise<void> {
  const options = ["-p", directory, "--page-size", "200", ...(existing === "replace" ? ["--force"] : [])];
  let page: readonly string[] = [];
  for (;;) {
    const answer = await cli.ask(["kernels", "output", address, ...options, ...page], onText);
    if (answer.exit !== 0) refuse(`the output of ${address} cannot be fetched`, answer);
    const next = /^Next page token: (\S+)\s*$/m.exec(answer.stdout)?.[1];
    if (next === undefined) return;
    page = ["--page-token", next];
  }
}

function isAdvertisement(line: string): boolean {
  return /^Warning: Looks like you're using an outdated/.test(line);
}
