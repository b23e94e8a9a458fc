/**
 * Tokens come in, text goes out as soon as it is certain: whole characters, and nothing that may turn out to be the
 * beginning of a stop string. All pieces together are the text of all tokens up to the first stop string.
 */

/** What spells an unfinished character. */
const REPLACEMENT = "\uFFFD";

export class TextStream {
  readonly #spell: (ids: readonly number[]) => string;
  readonly #stops: readonly string[];
  readonly #ids: number[] = [];
  /** Tokens [context, done) are spelled again with every new one: what a token spells depends on the one before. */
  #context = 0;
  #done = 0;
  /** Text that may be the beginning of a stop string. */
  #held = "";
  #stopped = false;

  /** `spell` as a tokenizer's; stop strings are not empty. */
  constructor(spell: (ids: readonly number[]) => string, stops: readonly string[]) {
    this.#spell = spell;
    this.#stops = stops;
  }

  /** Whether a stop string was met; what follows is not text of the reply. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that has become certain with this token; often none. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#newText();
    if (text.endsWith(REPLACEMENT)) return "";
    this.#context = this.#done;
    this.#done = this.#ids.length;
    return this.#release(text);
  }

  /** The rest, when no token follows: also what was held back, and a character that stayed unfinished. */
  end(): string {
    const text = this.#release(this.#newText());
    const rest = this.#stopped ? "" : this.#held;
    this.#held = "";
    this.#done = this.#ids.length;
    return text + rest;
  }

  /** Text of the tokens that are not done. */
  #newText(): string {
    const known = this.#spell(this.#ids.slice(this.#context, this.#done));
    return this.#spell(this.#ids.slice(this.#context)).slice(known.length);
  }

  #release(text: string): string {
    if (this.#stopped) return "";
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#stopped = true;
      this.#held = "";
      return all.slice(0, Math.min(...found));
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => beginningAtEnd(all, stop)));
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function beginningAtEnd(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
