/**
 * The pass runner: names each step of the pipeline, times it and dumps its result. Passes themselves never log.
 */
export interface PassRecord {
  readonly name: string;
  readonly milliseconds: number;
  /** JSON of the pass's result, when it was asked for. */
  readonly dump: string | null;
}

export interface PassOptions {
  /** A pass's name, or `all`. */
  readonly dumpAfter?: string | undefined;
  /** Milliseconds from any origin; the planner itself reads no clock. */
  readonly clock?: (() => number) | undefined;
}

export class PassRunner {
  readonly records: PassRecord[] = [];
  readonly #options: PassOptions;

  constructor(options: PassOptions) {
    this.#options = options;
  }

  run<Result>(name: string, pass: () => Result): Result {
    const now = this.#options.clock ?? (() => 0);
    const start = now();
    const result = pass();
    const wanted = this.#options.dumpAfter === name || this.#options.dumpAfter === "all";
    this.records.push({ name, milliseconds: now() - start, dump: wanted ? print(result) : null });
    return result;
  }
}

function print(result: unknown): string {
  return JSON.stringify(result, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value), 2);
}
