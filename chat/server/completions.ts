/** Completions one after the other: the queue in front of the session, and what may end one early. */
import type { ChatModel, Completion, CompletionOptions } from "../complete.ts";
import { ApiError } from "./api-error.ts";
import { TurnQueue } from "./turn-queue.ts";

export type Completing = AsyncGenerator<string, Completion>;
/** One of the ways to complete a prompt, which is known to fit. */
export type Complete = (
  model: ChatModel,
  prompt: readonly number[],
  options: CompletionOptions,
) => Completing;

export interface CompletionLimits {
  /** Milliseconds of a request, waiting included. */
  readonly time: number;
  /** Requests that may wait for another one. */
  readonly waiting: number;
}

export class Completions {
  readonly model: ChatModel;
  readonly #limits: CompletionLimits;
  readonly #queue: TurnQueue;
  readonly #shutdown: AbortSignal;

  /** `shutdown` ends what runs and waits. */
  constructor(model: ChatModel, limits: CompletionLimits, shutdown: AbortSignal) {
    this.model = model;
    this.#limits = limits;
    this.#queue = new TurnQueue(limits.waiting);
    this.#shutdown = shutdown;
  }

  /** Throws an `ApiError` when nothing more can be accepted. */
  admit(): void {
    if (this.#shutdown.aborted) throw new ApiError(503, "the server is shutting down");
    if (this.#queue.full) throw new ApiError(503, "too many requests are waiting", { code: "overloaded" });
  }

  /** Waits for its turn, then yields pieces. Throws an `ApiError` when time is up; `gone`: nobody waits for it any more. */
  async *run(
    complete: Complete,
    prompt: readonly number[],
    options: Omit<CompletionOptions, "signal">,
    gone: AbortSignal,
  ): Completing {
    const deadline = AbortSignal.timeout(this.#limits.time);
    const signal = AbortSignal.any([gone, deadline, this.#shutdown]);
    const release = await this.#queue.enter(signal).catch(() => null);
    if (release === null) throw interrupted();
    try {
      const completion = yield* complete(this.model, prompt, { ...options, signal });
      if (completion.reason === "stopped") throw interrupted();
      return completion;
    } finally {
      release();
    }

    function interrupted(): ApiError {
      if (!deadline.aborted) return new ApiError(503, "the request was cancelled");
      return new ApiError(504, "the server's limit of time for one request has passed", { code: "timeout" });
    }
  }
}
