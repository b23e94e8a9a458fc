/** Lines of a person or of a pipe, one after the other. */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { CliIo } from "../io.ts";

export interface LineSource {
  /** Whether a person sits in front of it. */
  readonly interactive: boolean;
  /** The next line without its end; null when there is none any more. */
  next(prompt: string): Promise<string | null>;
  close(): void;
}

/** A terminal with editing and history, or whatever else stdin is. */
export function openLines({ stdin, stdout, stderr }: CliIo): LineSource {
  const terminal = stdin.isTTY === true && stdout.isTTY === true && stdout instanceof Writable;
  return terminal ? new TerminalLines(stdin, stdout, (text) => stderr.write(text)) : new PipedLines(stdin);
}

class PipedLines implements LineSource {
  readonly interactive = false;
  readonly #lines: AsyncIterator<string>;
  readonly #close: () => void;

  constructor(input: NodeJS.ReadableStream) {
    const reader = createInterface({ input, terminal: false });
    this.#lines = reader[Symbol.asyncIterator]();
    this.#close = () => reader.close();
  }

  async next(): Promise<string | null> {
    const { value, done } = await this.#lines.next();
    return done ? null : value;
  }

  close(): void {
    this.#close();
  }
}

/**
 * Each line has an interface of its own: between lines the terminal is as a program finds it, so that Ctrl-C is a signal
 * there, which stops a reply.
 */
class TerminalLines implements LineSource {
  readonly interactive = true;
  readonly #input: NodeJS.ReadableStream;
  readonly #output: Writable;
  readonly #note: (text: string) => void;
  /** The newest first, as readline has it. */
  #history: string[] = [];

  constructor(input: NodeJS.ReadableStream, output: Writable, note: (text: string) => void) {
    this.#input = input;
    this.#output = output;
    this.#note = note;
  }

  next(prompt: string): Promise<string | null> {
    const reader = createInterface({
      input: this.#input,
      output: this.#output,
      terminal: true,
      prompt,
      history: this.#history,
      removeHistoryDuplicates: true,
    });
    reader.on("history", (history) => {
      this.#history = [...history];
    });
    return new Promise((resolve) => {
      let warned = false;
      reader.once("line", (line) => {
        resolve(line);
        reader.close();
      });
      reader.once("close", () => resolve(null));
      // Ctrl-C clears the line; on an empty one the second leaves.
      reader.on("SIGINT", () => {
        if (reader.line === "" && warned) {
          reader.close();
          return;
        }
        warned = reader.line === "";
        this.#note(warned ? "\n(Ctrl-C again, Ctrl-D or /exit leaves)\n" : "\n");
        reader.write(null, { ctrl: true, name: "e" });
        reader.write(null, { ctrl: true, name: "u" });
        reader.prompt();
      });
      reader.prompt();
    });
  }

  close(): void {}
}
