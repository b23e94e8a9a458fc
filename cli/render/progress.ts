/**
 * The progress of a training on stderr: one line that is rewritten on a terminal, a line now and then elsewhere.
 *
 *     step 12/40  loss 5.1234  lr 1.0e-4  1,234 tokens/s  ETA 1:23  ram 220 MiB of 272 MiB
 *
 * On a narrow terminal it is shorter, since a line that is rewritten has to be one.
 */
import { formatBytes } from "../../schemas/units.ts";
import { columnsOf, type TextSink } from "../io.ts";

export interface ShownStep {
  /** From 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly loss: number;
  readonly lr: number;
  /** Of this step. */
  readonly seconds: number;
  /** Peak bytes of the process. */
  readonly peakBytes: number | null;
}

export interface TrainingFacts {
  readonly tokensPerStep: number;
  /** Bytes that the plan proved. */
  readonly plannedBytes: number;
}

/** Speed is that of the last steps; the first ones are slower than the rest. */
const WINDOW = 20;
const LOG_EVERY_SECONDS = 5;
const CLEAR_LINE = "\r\u001b[K";

export class TrainingProgress {
  readonly #sink: TextSink;
  readonly #facts: TrainingFacts;
  readonly #durations: number[] = [];
  #lineShown = false;
  #sinceLog = Number.POSITIVE_INFINITY;

  constructor(sink: TextSink, facts: TrainingFacts) {
    this.#sink = sink;
    this.#facts = facts;
  }

  step(step: ShownStep): void {
    this.#durations.push(step.seconds);
    if (this.#durations.length > WINDOW) this.#durations.shift();
    const mean = this.#durations.reduce((sum, seconds) => sum + seconds, 0) / this.#durations.length;
    const line = formatStep(step, this.#facts, mean, columnsOf(this.#sink) - 1);
    if (this.#sink.isTTY === true) {
      this.#sink.write(`${CLEAR_LINE}${line}`);
      this.#lineShown = true;
      return;
    }
    this.#sinceLog += step.seconds;
    if (this.#sinceLog < LOG_EVERY_SECONDS && step.step < step.totalSteps) return;
    this.#sinceLog = 0;
    this.#sink.write(`${line}\n`);
  }

  /** A line that stays. */
  note(text: string): void {
    this.clear();
    this.#sink.write(`${text}\n`);
  }

  /** Takes the rewritten line away. */
  clear(): void {
    if (this.#lineShown) this.#sink.write(CLEAR_LINE);
    this.#lineShown = false;
  }
}

function formatStep(
  { step, totalSteps, loss, lr, peakBytes }: ShownStep,
  { tokensPerStep, plannedBytes }: TrainingFacts,
  secondsPerStep: number,
  most: number,
): string {
  const speed = Math.round(tokensPerStep / secondsPerStep).toLocaleString("en-US");
  const eta = formatDuration((totalSteps - step) * secondsPerStep);
  const used =
    peakBytes === null ? [] : [["ram", `ram ${formatBytes(peakBytes)} of ${formatBytes(plannedBytes)}`]];
  let parts = [
    ["step", `step ${step}/${totalSteps}`],
    ["loss", `loss ${loss.toFixed(4)}`],
    ["lr", `lr ${lr.toExponential(1)}`],
    ["speed", `${speed} tokens/s`],
    ["eta", `ETA ${eta}`],
    ...used,
  ];
  const text = (): string => parts.map(([, words]) => words).join("  ");
  for (const spare of ["ram", "lr", "speed"]) {
    if (text().length > most) parts = parts.filter(([name]) => name !== spare);
  }
  return text();
}

/** `1:02:03`, `4:05`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
