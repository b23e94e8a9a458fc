/**
 * A replayed training against its record, value by value and bit by bit, in the order in which they came about.
 *
 * What is recorded is exact: JSON holds a float64 as the shortest text that reads back as the same number.
 */
import type { Metric } from "../../schemas/run.ts";

export interface Difference {
  readonly step: number;
  readonly what: "loss" | "grad_norm" | "adapter" | "eval_loss" | "tokens";
  readonly recorded: number | string | null;
  readonly replayed: number | string | null;
}

export class RunComparison {
  readonly #recorded: ReadonlyMap<string, Metric>;
  #compared = { steps: 0, adapters: 0, evaluations: 0 };
  #first: Difference | null = null;

  constructor(recorded: readonly Metric[]) {
    this.#recorded = new Map(recorded.map((row) => [keyOf(row), row]));
  }

  /** The first value that is not the recorded one. */
  get first(): Difference | null {
    return this.#first;
  }

  /** Rows, and adapter digests in them, that were compared. */
  get compared(): Readonly<Record<"steps" | "adapters" | "evaluations", number>> {
    return this.#compared;
  }

  /** A row of the replay; one that the record lacks is not compared. */
  add(replayed: Metric): void {
    const recorded = this.#recorded.get(keyOf(replayed));
    if (recorded === undefined || this.#first !== null) return;
    if ("eval_loss" in replayed) {
      this.#compared = { ...this.#compared, evaluations: this.#compared.evaluations + 1 };
    } else {
      const { steps, adapters, evaluations } = this.#compared;
      const hasAdapter = "adapter" in recorded && recorded.adapter !== undefined;
      this.#compared = { steps: steps + 1, adapters: adapters + (hasAdapter ? 1 : 0), evaluations };
    }
    this.#first = differenceOf(recorded, replayed);
  }
}

const COMPARED = ["tokens", "loss", "grad_norm", "adapter", "eval_loss"] as const;

function differenceOf(recorded: Metric, replayed: Metric): Difference | null {
  const [before, after] = [recorded, replayed] as readonly Partial<
    Record<(typeof COMPARED)[number], number | string | null>
  >[];
  for (const what of COMPARED) {
    const expected = before![what];
    // Runs of an earlier lema have recorded no adapter digests.
    if (expected === undefined) continue;
    const actual = after![what] ?? null;
    if (!Object.is(expected, actual)) {
      return { step: replayed.step, what, recorded: expected, replayed: actual };
    }
  }
  return null;
}

const keyOf = (row: Metric): string => `${"eval_loss" in row ? "evaluation" : "step"} ${row.step}`;

/** A number with all its digits and its bits, so that two that differ in the last place look different. */
export function exactText(value: number | string | null): string {
  if (typeof value !== "number") return value ?? "overflow";
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  return `${value} (0x${bits.getBigUint64(0).toString(16).padStart(16, "0")})`;
}
