/**
 * A source that knows which tokens its cache holds, so that a prompt costs only what it does not share with the one
 * before: a conversation goes on where it was, and another one keeps the system prompt that both begin with.
 */
import { invariant } from "../schemas/diagnostic.ts";
import type { GenerationSource, LogitsSource } from "./generate.ts";

export class TokenCache implements LogitsSource {
  readonly #source: GenerationSource;
  /** What the cache is known to hold; the source may hold more, which the next prompt rewinds. */
  #ids: number[] = [];

  constructor(source: GenerationSource) {
    this.#source = source;
  }

  get length(): number {
    return this.#ids.length;
  }

  get capacity(): number {
    return this.#source.capacity;
  }

  /** Every token id is below. */
  get vocabulary(): number {
    return this.#source.vocabulary;
  }

  /** Forgets all that `prompt` does not begin with; the rest of it, one token at least, is to be fed. */
  keep(prompt: readonly number[]): { readonly before: readonly number[]; readonly rest: readonly number[] } {
    invariant(prompt.length > 0, "an empty prompt");
    const parting = prompt.findIndex((id, index) => id !== this.#ids[index]);
    const shared = Math.min(parting < 0 ? prompt.length : parting, prompt.length - 1);
    this.#ids = this.#ids.slice(0, shared);
    this.#source.rewind(shared);
    return { before: prompt.slice(0, shared), rest: prompt.slice(shared) };
  }

  async feed(tokens: readonly number[]): Promise<Float32Array> {
    const known = this.#ids;
    // Until they are through, nobody knows how many of them arrived: after a failure the next prompt starts anew.
    this.#ids = [];
    const logits = await this.#source.feed(tokens);
    this.#ids = known.concat(tokens);
    return logits;
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
