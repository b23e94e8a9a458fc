/** One line on stderr that says what is going on; rewritten on a terminal, absent elsewhere. */
import type { TextSink } from "../io.ts";

const CLEAR_LINE = "\r\u001b[K";

export class StatusLine {
  readonly #sink: TextSink;
  #shown = "";

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  show(text: string): void {
    if (this.#sink.isTTY !== true || text === this.#shown) return;
    this.#sink.write(`${CLEAR_LINE}${text}`);
    this.#shown = text;
  }

  clear(): void {
    if (this.#shown !== "") this.#sink.write(CLEAR_LINE);
    this.#shown = "";
  }
}
