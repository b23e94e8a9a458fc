/** One line on stderr that says what is going on; rewritten on a terminal, which it is cut to, absent elsewhere. */
import { columnsOf, type TextSink } from "../io.ts";

const CLEAR_LINE = "\r\u001b[K";

export class StatusLine {
  readonly #sink: TextSink;
  #shown = "";

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  show(text: string): void {
    if (this.#sink.isTTY !== true || text === this.#shown) return;
    // What is longer than the line takes another one, which is not cleared.
    const most = columnsOf(this.#sink) - 1;
    this.#sink.write(`${CLEAR_LINE}${text.length > most ? `${text.slice(0, most - 1)}…` : text}`);
    this.#shown = text;
  }

  clear(): void {
    if (this.#shown !== "") this.#sink.write(CLEAR_LINE);
    this.#shown = "";
  }
}
