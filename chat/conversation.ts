/**
 * A conversation of several turns, kept inside the model's context: where it grows too long, the oldest exchanges are left
 * out, each whole, while the system prompt stays.
 *
 * Every turn encodes the conversation anew, so that the model reads the tokens that training would make of the same text;
 * what the cache holds already is not computed again (`token-cache.ts`).
 */
import type { Message } from "../data/formats/format.ts";
import {
  type ChatModel,
  type Completion,
  type CompletionOptions,
  checkFits,
  completeReply,
  encodeConversation,
} from "./complete.ts";

export type Turn = {
  readonly role: "user" | "assistant";
  readonly content: string;
};

export type ConversationTurn = Turn & {
  /** Whether the model still reads it. */
  readonly inContext: boolean;
};

/** A reply may take this share of the context before what is remembered has to give way, or what it is allowed if less. */
const REPLY_SHARE = 1 / 4;

export class Conversation {
  readonly #model: ChatModel;
  #system: string | null;
  #turns: readonly Turn[] = [];
  /** Turns left out, the oldest ones. It never falls, so that the cached beginning stays the same for long. */
  #left = 0;

  /** `system`: null where the template is to decide. */
  constructor(model: ChatModel, system: string | null) {
    this.#model = model;
    this.#system = system;
  }

  get system(): string | null {
    return this.#system;
  }

  /** Another system prompt for the turns that come. */
  set system(system: string | null) {
    this.#system = system;
  }

  get turns(): readonly ConversationTurn[] {
    return this.#turns.map((turn, index) => ({ ...turn, inContext: index >= this.#left }));
  }

  /** Forgets all turns. */
  reset(): void {
    this.#turns = [];
    this.#left = 0;
  }

  /**
   * Says something and yields the pieces of the reply. A reply that was stopped stands as far as it came; where there is
   * none at all, it is as if nothing had been said.
   *
   * Throws `chat.too-long` where the context has no room for it alone, and `template.render`.
   */
  async *say(content: string, options: CompletionOptions): AsyncGenerator<string, Completion> {
    const turns: readonly Turn[] = [...this.#turns, { role: "user", content }];
    const prompt = this.#encode(turns, options.maxTokens);
    let reply = "";
    try {
      const completion = completeReply(this.#model, prompt, options);
      for (;;) {
        const { value, done } = await completion.next();
        if (done) return value;
        reply += value;
        yield value;
      }
    } finally {
      if (reply !== "") this.#turns = [...turns, { role: "assistant", content: reply }];
    }
  }

  /** The newest turns that fit, as the model reads them. */
  #encode(turns: readonly Turn[], maxTokens: number | null): readonly number[] {
    const { capacity } = this.#model.cache;
    const room = Math.min(maxTokens ?? capacity, Math.max(1, Math.floor(REPLY_SHARE * capacity)));
    for (let left = this.#left; ; left += 2) {
      const prompt = encodeConversation(this.#model, [...this.#start(), ...turns.slice(left)]);
      const alone = left === turns.length - 1;
      if (!alone && prompt.length + room > capacity) continue;
      checkFits(prompt, this.#model.cache);
      this.#left = left;
      return prompt;
    }
  }

  #start(): readonly Message[] {
    return this.#system === null ? [] : [{ role: "system", content: this.#system }];
  }
}
