/**
 * Kaggle's official command, driven as a user would: arguments in, text out. Its exit code is not believed where it is
 * known to be 0 for failures; what it prints is read instead.
 */
import { spawn } from "node:child_process";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";

const OLDEST = [2, 2] as const;
const INSTALL =
  "install it: `pip install --upgrade kaggle six`, and give it your token as its own manual says";

export interface Answer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export class OfficialCli {
  readonly #env: Environment;

  private constructor(env: Environment) {
    this.#env = env;
  }

  /** Throws `kaggle.no-cli`, also where it is older than 2.2. */
  static async open(env: Environment): Promise<OfficialCli> {
    const cli = new OfficialCli(env);
    const { exit, stdout, stderr } = await cli.ask(["--version"]);
    const version = /(\d+)\.(\d+)[\w.]*/.exec(stdout);
    if (exit !== 0 || version === null) {
      // Some releases need a package that their own list of dependencies forgets.
      throw noCli("the official `kaggle` command does not work", lastLine(stderr) || lastLine(stdout));
    }
    const [major, minor] = [Number(version[1]), Number(version[2])];
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
      throw noCli(
        `the official \`kaggle\` command is ${version[0]}, and ${OLDEST.join(".")} or newer is needed`,
      );
    }
    return cli;
  }

  /** Runs it to its end; `onText` hears its output while it works. */
  ask(argv: readonly string[], onText: (text: string) => void = () => {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const child = spawn("kaggle", argv, {
        // Its output is read, so nothing is coloured, and no newer version is advertised in between.
        env: { ...this.#env, NO_COLOR: "1", PYTHONUNBUFFERED: "1", PYTHONIOENCODING: "utf-8" },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const text = { stdout: "", stderr: "" };
      for (const sink of ["stdout", "stderr"] as const) {
        child[sink].setEncoding("utf8").on("data", (piece: string) => {
          text[sink] += piece;
          if (sink === "stdout") onText(piece);
        });
      }
      child.on("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === "ENOENT" ? noCli("there is no `kaggle` command on the search path") : error),
      );
      child.on("close", (exit) => resolve({ exit: exit ?? 1, ...text }));
    });
  }
}

/** Throws `kaggle.refused` with what the command said. */
export function refuse(what: string, { stdout, stderr }: Answer): never {
  const said = [stderr, stdout].map((text) => text.trim()).filter((text) => text !== "");
  throw new DiagnosticError(
    diagnostic("kaggle.refused", {
      summary: what,
      ...(said.length > 0 && { detail: said.join("\n") }),
      hint: hintFor(said.join("\n")),
    }),
  );
}

function hintFor(text: string): string {
  if (/401|unauthorized|authenticat|kaggle\.json|access token/i.test(text))
    return "give the `kaggle` command your token: `kaggle auth login`, or KAGGLE_API_TOKEN";
  if (/Maximum .*sessions?|quota/i.test(text)) return "wait for a running session, or for next week's quota";
  return "the lines above are the official command's own";
}

function noCli(summary: string, detail = ""): DiagnosticError {
  return new DiagnosticError(
    diagnostic("kaggle.no-cli", { summary, ...(detail !== "" && { detail }), hint: INSTALL }),
  );
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
