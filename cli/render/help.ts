/** How commander lays help out on a terminal that says how wide it is; elsewhere it keeps to its own ways. */
import type { Help } from "commander";
import { columnsOf, type TextSink } from "../io.ts";
import { textWidth } from "./screen.ts";
import { wrap } from "./table.ts";

const INDENT = 2;
const GAP = 2;
/** Descriptions that have less stand below what they describe. */
const LEAST_ROOM = 30;
const BELOW = 6;

/** What commander takes where there is no terminal. */
const USUAL_WIDTH = 80;

/** Characters of a line. */
export function helpWidth(sink: TextSink): number {
  const columns = columnsOf(sink);
  return Number.isFinite(columns) ? textWidth({ columns }) : USUAL_WIDTH;
}

/** An option, an argument or a command with its description, in lines of `width` characters. */
export function formatItem(term: string, termWidth: number, description: string, width: number): string {
  const indented = " ".repeat(INDENT) + term;
  if (description === "") return indented;
  const start = INDENT + termWidth + GAP;
  if (width - start < LEAST_ROOM) {
    const lines = wrap(description, width - BELOW).map((line) => " ".repeat(BELOW) + line);
    return [indented, ...lines].join("\n");
  }
  return indented.padEnd(start) + wrap(description, width - start).join(`\n${" ".repeat(start)}`);
}

/** What to change of commander's help for such a terminal. */
export function helpLayout(sink: TextSink): Partial<Help> {
  if (!Number.isFinite(columnsOf(sink))) return {};
  const width = helpWidth(sink);
  return { formatItem: (term, termWidth, description) => formatItem(term, termWidth, description, width) };
}
