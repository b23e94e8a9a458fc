/** One session and many requests: whoever comes first is served first, one at a time. */

/** Gives the turn to the next; a second call does nothing. */
export type Release = () => void;

type Enter = (release: Release) => void;

export class TurnQueue {
  readonly #limit: number;
  readonly #waiting: Enter[] = [];
  #busy = false;

  /** At most `limit` wait. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether one more would have to be turned away. */
  get full(): boolean {
    return this.#busy && this.#waiting.length >= this.#limit;
  }

  /** Waits for the turn; rejects with the signal's reason when it is given before. */
  enter(signal: AbortSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      const enter: Enter = (release) => {
        signal.removeEventListener("abort", onAbort);
        resolve(release);
      };
      if (!this.#busy) {
        this.#admit(enter);
        return;
      }
      this.#waiting.push(enter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #admit(enter: Enter): void {
    this.#busy = true;
    let held = true;
    enter(() => {
      if (!held) return;
      held = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else this.#admit(next);
    });
  }
}
