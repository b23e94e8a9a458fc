/** Where text for people goes: what it may be coloured with, and how wide its lines may be. */
import { type CliIo, columnsOf, type TextSink, usesColor } from "../io.ts";
import { type Painter, painter } from "./human.ts";

export interface Screen {
  readonly paint: Painter;
  /** Characters of a line of the terminal; Infinity where there is none. */
  readonly columns: number;
}

/** What prose is wrapped at where there is room; wider lines are hard to read. */
const TEXT_WIDTH = 100;

export function screenOf(sink: TextSink, env: CliIo["env"]): Screen {
  return { paint: painter(usesColor(sink, env)), columns: columnsOf(sink) };
}

/** Characters of a line of prose. */
export function textWidth({ columns }: Pick<Screen, "columns">): number {
  return Math.min(TEXT_WIDTH, columns);
}
