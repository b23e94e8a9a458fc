/** What a command may touch of the terminal and the process; tests pass their own. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Characters of a line of the terminal, as wide as it is now. */
  readonly columns?: number | undefined;
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

/** Nothing is laid out for less. */
const LEAST_COLUMNS = 40;

/** Characters of a line; Infinity where there is no terminal, or one that does not say. */
export function columnsOf({ isTTY, columns = 0 }: TextSink): number {
  return isTTY === true && columns > 0 ? Math.max(LEAST_COLUMNS, columns) : Number.POSITIVE_INFINITY;
}
