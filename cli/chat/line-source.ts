/** Messages of a person or of a pipe, one after the other, and the wish to stop a reply. */
import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";
import type { CliIo } from "../io.ts";

export interface LineSource {
  /** Whether a person sits in front of it. */
  readonly interactive: boolean;
  /** The next line without its end, or several that were pasted; null when there is none any more. */
  next(prompt: string): Promise<string | null>;
  /** Called when a reply begins: the signal is given at Ctrl-C. */
  replying(): AbortSignal;
  close(): void;
}

/** A terminal with editing and history, or whatever else stdin is. */
export function openLines({ stdin, stdout, stderr }: CliIo): LineSource {
  const terminal = stdin.isTTY === true && stdout.isTTY === true && stdout instanceof Writable;
  return terminal ? new TerminalLines(stdin, stdout, (text) => stderr.write(text)) : new PipedLines(stdin);
}

class PipedLines implements LineSource {
  readonly interactive = false;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  #reply = new AbortController();
  readonly #interrupt = (): void => this.#reply.abort();

  constructor(input: NodeJS.ReadableStream) {
    this.#reader = createInterface({ input, terminal: false });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async next(): Promise<string | null> {
    // Between replies a signal ends the program, as it does others.
    process.off("SIGINT", this.#interrupt);
    const { value, done } = await this.#lines.next();
    return done ? null : value;
  }

  replying(): AbortSignal {
    this.#reply = new AbortController();
    process.on("SIGINT", this.#interrupt);
    return this.#reply.signal;
  }

  close(): void {
    process.off("SIGINT", this.#interrupt);
    this.#reader.close();
  }
}

/**
 * One interface for the whole conversation, in raw mode, so that nothing that is typed or pasted is lost. What is typed
 * during a reply is not shown before its end.
 */
class TerminalLines implements LineSource {
  readonly interactive = true;
  readonly #reader: Interface;
  readonly #output: MutableOutput;
  readonly #note: (text: string) => void;
  /** Lines that came at once. */
  #pasted: string[] = [];
  #delivery: NodeJS.Immediate | undefined;
  /** Said before they were asked for. */
  readonly #early: string[] = [];
  #asked: ((line: string | null) => void) | null = null;
  #reply: AbortController | null = null;
  /** Ctrl-C on an empty line, once. */
  #warned = false;
  #ended = false;

  constructor(input: NodeJS.ReadableStream, output: Writable, note: (text: string) => void) {
    this.#output = new MutableOutput(output);
    this.#note = note;
    this.#reader = createInterface({
      input,
      output: this.#output,
      terminal: true,
      removeHistoryDuplicates: true,
    });
    this.#reader.on("line", (line) => {
      this.#warned = false;
      this.#pasted.push(line);
      clearImmediate(this.#delivery);
      this.#delivery = setImmediate(() => this.#deliver());
    });
    this.#reader.on("SIGINT", () => this.#interrupt());
    this.#reader.on("close", () => {
      this.#ended = true;
      if (this.#asked === null) return;
      // What comes next in the terminal begins its own line.
      this.#output.write("\n");
      this.#asked(null);
    });
  }

  next(prompt: string): Promise<string | null> {
    this.#reply = null;
    this.#output.muted = false;
    this.#reader.setPrompt(prompt);
    const early = this.#early.shift();
    if (early !== undefined) {
      this.#output.write(`${prompt}${early}\n`);
      return Promise.resolve(early);
    }
    if (this.#ended) return Promise.resolve(null);
    this.#reader.prompt(true);
    return new Promise((resolve) => {
      this.#asked = (line) => {
        this.#asked = null;
        resolve(line);
      };
    });
  }

  replying(): AbortSignal {
    this.#output.muted = true;
    this.#reply = new AbortController();
    return this.#reply.signal;
  }

  close(): void {
    this.#reader.close();
  }

  /** All lines that came at once, when the last of them is whole. */
  #deliver(): void {
    if (this.#reader.line !== "") return;
    const text = this.#pasted.join("\n");
    this.#pasted = [];
    if (this.#asked === null) this.#early.push(text);
    else this.#asked(text);
  }

  /** Ctrl-C stops a reply, or clears the line; on an empty one the second leaves. */
  #interrupt(): void {
    if (this.#reply !== null) {
      this.#reply.abort();
      return;
    }
    const empty = this.#reader.line === "" && this.#pasted.length === 0;
    if (empty && this.#warned) {
      this.#reader.close();
      return;
    }
    this.#warned = empty;
    this.#pasted = [];
    this.#note(empty ? "\n(Ctrl-C again, Ctrl-D or /exit leaves)\n" : "\n");
    this.#reader.write(null, { ctrl: true, name: "e" });
    this.#reader.write(null, { ctrl: true, name: "u" });
    this.#reader.prompt();
  }
}

/** A terminal that can be told to show nothing. */
class MutableOutput extends Writable {
  muted = false;
  readonly #terminal: Writable;

  constructor(terminal: Writable) {
    super();
    this.#terminal = terminal;
    terminal.on("resize", () => this.emit("resize"));
  }

  /** readline breaks lines by it. */
  get columns(): number | undefined {
    return (this.#terminal as { readonly columns?: number }).columns;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (!this.muted) this.#terminal.write(chunk);
    done();
  }
}
