/** What a command may touch of the terminal and the process; tests pass their own. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface CliIo {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined };
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths of the command line and of recipes start here. */
  readonly cwd: string;
}

/** Colour only on a terminal, never under NO_COLOR (https://no-color.org: any value but the empty one). */
export function usesColor(sink: TextSink, env: CliIo["env"]): boolean {
  return sink.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}
