/**
 * One memory over time: height is the address, colour is what lives there. Kinds that are switched off take no height,
 * so that small buffers beside large weights can be looked at.
 */
import type { ReportOccupation } from "../model.ts";
import { beginFrame, drawTimeGrid, type Frame, fitText, GUTTER, timeOf, xOf } from "./canvas.ts";
import { formatBytes, formatNanoseconds } from "./format.ts";
import { controlTime } from "./time-control.ts";
import type { View } from "./view.ts";

const PADDING = 6;

/** A run of addresses that is drawn, [start, end) of the arena, with `above` drawn bytes before it. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly above: number;
}

export class MemoryChart {
  readonly #canvas: HTMLCanvasElement;
  readonly #view: View;
  readonly #arena: number;
  readonly #hidden: ReadonlySet<string>;
  #shown: readonly ReportOccupation[] = [];
  #stretches: readonly Stretch[] = [];

  constructor(
    canvas: HTMLCanvasElement,
    view: View,
    arena: number,
    hidden: ReadonlySet<string>,
    tooltip: HTMLElement,
  ) {
    this.#canvas = canvas;
    this.#view = view;
    this.#arena = arena;
    this.#hidden = hidden;
    this.layOut();
    controlTime(canvas, view, tooltip, {
      onHover: (x, y) => {
        const found = this.#at(x, y);
        return found === null ? null : this.#describe(found);
      },
      onClick: (x, y) => {
        const loading = this.#at(x, y)?.loading ?? null;
        const index = view.program.instructions.findIndex(({ id }) => id === loading);
        if (index >= 0) view.select(index);
      },
    });
  }

  /** After another program or other kinds were chosen. */
  layOut(): void {
    const { model, program } = this.#view;
    const arena = model.arenas[this.#arena]!;
    this.#shown = program.occupations.filter(({ buffer, holding }) => {
      return model.buffers[buffer]!.arena === arena.name && !this.#hidden.has(holding);
    });
    const whole = [{ start: 0, end: arena.bytes, above: 0 }];
    this.#stretches = this.#hidden.size === 0 ? whole : this.#covered();
  }

  /** The addresses that the shown occupations cover. */
  #covered(): Stretch[] {
    const ranges = this.#shown
      .map(({ buffer }) => this.#view.model.buffers[buffer]!)
      .sort((a, b) => a.offset - b.offset);
    const merged: { start: number; end: number; above: number }[] = [];
    for (const { offset, bytes } of ranges) {
      const last = merged.at(-1);
      if (last !== undefined && offset <= last.end) {
        last.end = Math.max(last.end, offset + bytes);
      } else {
        const above = last === undefined ? 0 : last.above + last.end - last.start;
        merged.push({ start: offset, end: offset + bytes, above });
      }
    }
    return merged;
  }

  get #drawnBytes(): number {
    const last = this.#stretches.at(-1);
    return last === undefined ? 0 : last.above + last.end - last.start;
  }

  draw(): void {
    const frame = beginFrame(this.#canvas);
    if (frame === null) return;
    const { context, width, height, color } = frame;
    context.fillStyle = color("empty");
    context.fillRect(GUTTER, PADDING, width - GUTTER, height - 2 * PADDING);
    drawTimeGrid(this.#view, frame, null);
    this.#drawAddresses(frame);
    context.save();
    context.beginPath();
    context.rect(GUTTER, PADDING, width - GUTTER, height - 2 * PADDING);
    context.clip();
    for (const one of this.#shown) this.#drawOne(frame, one);
    this.#drawMoment(frame);
    context.restore();
  }

  #drawAddresses({ context, height, color }: Frame): void {
    context.fillStyle = color("muted");
    const total = this.#drawnBytes;
    const [top, bottom] = [PADDING + 6, height - PADDING - 6];
    if (total === 0) {
      context.fillText("nothing", 4, height / 2);
      return;
    }
    context.fillText("0", 4, bottom);
    context.fillText(formatBytes(total), 4, top);
    if (height > 110) context.fillText(formatBytes(total / 2), 4, (top + bottom) / 2);
  }

  #drawOne({ context, width, height, color }: Frame, one: ReportOccupation): void {
    const view = this.#view;
    if (one.end < view.from || one.start > view.to) return;
    const { offset, bytes } = view.model.buffers[one.buffer]!;
    const stretch = this.#stretches.find(({ start, end }) => start <= offset && offset < end);
    if (stretch === undefined) return;
    const scale = (height - 2 * PADDING) / this.#drawnBytes;
    const bottom = height - PADDING - (stretch.above + offset - stretch.start) * scale;
    const [x, to] = [
      Math.max(GUTTER - 2, xOf(view, width, one.start)),
      Math.min(width + 2, xOf(view, width, one.end)),
    ];
    const tall = bytes * scale;
    const gap = tall > 3 ? 1 : 0;
    const gapX = to - x > 4 ? 1 : 0;
    context.fillStyle = color(`hold-${one.holding}`);
    context.globalAlpha = one.loading === null ? 1 : 0.45;
    context.fillRect(x, bottom - tall, Math.max(0.75, to - x - gapX), Math.max(0.5, tall - gap));
    context.globalAlpha = 1;
    if (tall < 13) return;
    const label = one.unit ?? view.model.buffers[one.buffer]!.id;
    const text = fitText(context, one.loading === null ? label : `↓ ${label}`, to - x - 10);
    context.fillStyle = color(one.loading === null ? "on-color" : "text");
    if (text !== "") context.fillText(text, x + 5, bottom - tall / 2);
  }

  /** A line at the start of the selected instruction. */
  #drawMoment({ context, width, height, color }: Frame): void {
    const { selected, program } = this.#view;
    if (selected === null) return;
    const x = xOf(this.#view, width, program.instructions[selected]!.start);
    context.fillStyle = color("accent");
    context.fillRect(x - 0.75, 0, 1.5, height);
  }

  #at(x: number, y: number): ReportOccupation | null {
    const view = this.#view;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (x < GUTTER || this.#drawnBytes === 0) return null;
    const drawn = ((height - PADDING - y) / (height - 2 * PADDING)) * this.#drawnBytes;
    const stretch = this.#stretches.findLast(({ above }) => above <= drawn);
    if (stretch === undefined) return null;
    const address = stretch.start + drawn - stretch.above;
    const time = timeOf(view, width, x);
    const found = this.#shown.find(({ buffer, start, end }) => {
      const { offset, bytes } = view.model.buffers[buffer]!;
      return start <= time && time < end && offset <= address && address < offset + bytes;
    });
    return found ?? null;
  }

  #describe({ buffer, start, end, holding, unit, loading }: ReportOccupation): string {
    const { model } = this.#view;
    const { id, offset, bytes } = model.buffers[buffer]!;
    const words = model.holdings.find((one) => one.id === holding)!.words;
    const what = unit === null ? id : `${id}: ${unit}`;
    return [
      what,
      `${words}, ${formatBytes(bytes)} at [${offset}, ${offset + bytes})`,
      `${formatNanoseconds(start)} – ${formatNanoseconds(end)}`,
      ...(loading === null ? [] : [`coming by ${loading}`]),
    ].join("\n");
  }
}
