/** Lanes over time: one row a lane, one bar an instruction, and what the selected instruction waits for. */
import type { ReportInstruction } from "../model.ts";
import { beginFrame, drawTimeGrid, type Frame, fitText, GUTTER, timeOf, xOf } from "./canvas.ts";
import { formatBytes, formatNanoseconds } from "./format.ts";
import { controlTime } from "./time-control.ts";
import type { View } from "./view.ts";

const AXIS = 22;
const ROW = 36;
const BAR = 24;

export class Timeline {
  readonly #canvas: HTMLCanvasElement;
  readonly #view: View;

  constructor(canvas: HTMLCanvasElement, view: View, tooltip: HTMLElement) {
    this.#canvas = canvas;
    this.#view = view;
    controlTime(canvas, view, tooltip, {
      onHover: (x, y) => {
        const index = this.#at(x, y);
        return index === null ? null : describe(view.program.instructions[index]!);
      },
      onClick: (x, y) => view.select(this.#at(x, y)),
    });
  }

  /** Lanes that the program uses. */
  #lanes(): number[] {
    const used = new Set(this.#view.program.instructions.map(({ lane }) => lane));
    return this.#view.model.lanes.map((_, lane) => lane).filter((lane) => used.has(lane));
  }

  draw(): void {
    const view = this.#view;
    const lanes = this.#lanes();
    this.#canvas.style.height = `${AXIS + lanes.length * ROW + 4}px`;
    const frame = beginFrame(this.#canvas);
    if (frame === null) return;
    const { context, width, color } = frame;
    drawTimeGrid(view, frame, AXIS / 2);
    const rows = new Map(lanes.map((lane, row) => [lane, AXIS + row * ROW + (ROW - BAR) / 2]));
    for (const [lane, y] of rows) {
      context.fillStyle = color(lane === view.program.bottleneck ? "text" : "muted");
      context.fillText(view.model.lanes[lane]!, 4, y + BAR / 2 - 6);
      context.fillStyle = color("muted");
      const share = (100 * view.program.busy[lane]!) / Math.max(1, view.program.duration);
      context.fillText(`${share < 10 ? share.toFixed(1) : share.toFixed(0)} % busy`, 4, y + BAR / 2 + 7);
    }
    context.save();
    context.beginPath();
    context.rect(GUTTER, 0, width - GUTTER, frame.height);
    context.clip();
    for (const instruction of view.program.instructions) this.#drawBar(frame, rows, instruction);
    this.#drawSelection(frame, rows);
    context.restore();
  }

  #drawBar(frame: Frame, rows: ReadonlyMap<number, number>, instruction: ReportInstruction): void {
    const { context, width, color } = frame;
    const view = this.#view;
    const { lane, start, end, stall, work, id } = instruction;
    const y = rows.get(lane)!;
    if (stall > 0 && lane === view.program.bottleneck) {
      const from = xOf(view, width, start - stall);
      context.fillStyle = color("stall");
      context.fillRect(from, y + BAR / 2 - 3, Math.max(0.5, xOf(view, width, start) - from), 6);
    }
    if (end < view.from || start > view.to) return;
    const from = Math.max(GUTTER - 2, xOf(view, width, start));
    const to = Math.min(width + 2, xOf(view, width, end));
    context.fillStyle = color(`work-${work}`);
    // A hairline between neighbours, once there is room for one.
    const gap = to - from > 4 ? 1 : 0;
    context.fillRect(from, y, Math.max(0.75, to - from - gap), BAR);
    const text = fitText(context, id, to - from - 10);
    if (text === "") return;
    context.fillStyle = color("on-color");
    context.fillText(text, from + 5, y + BAR / 2 + 0.5);
  }

  #drawSelection({ context, width, color }: Frame, rows: ReadonlyMap<number, number>): void {
    const view = this.#view;
    if (view.selected === null) return;
    const { instructions } = view.program;
    const { lane, start, end, waits } = instructions[view.selected]!;
    const y = rows.get(lane)!;
    context.strokeStyle = color("accent");
    context.lineWidth = 1.5;
    context.globalAlpha = 0.7;
    for (const wait of waits) {
      const other = instructions[wait]!;
      const [fromX, fromY] = [xOf(view, width, other.end), rows.get(other.lane)! + BAR / 2];
      const [toX, toY] = [xOf(view, width, start), y + BAR / 2];
      const bend = Math.max(12, Math.min(60, Math.abs(toX - fromX) / 2));
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.bezierCurveTo(fromX + bend, fromY, toX - bend, toY, toX, toY);
      context.stroke();
    }
    context.globalAlpha = 1;
    context.lineWidth = 2;
    const from = xOf(view, width, start);
    context.strokeRect(from, y - 1, Math.max(2, xOf(view, width, end) - from), BAR + 2);
  }

  #at(x: number, y: number): number | null {
    const view = this.#view;
    const lane = this.#lanes()[Math.floor((y - AXIS) / ROW)];
    if (lane === undefined || x < GUTTER) return null;
    const width = this.#canvas.clientWidth;
    const time = timeOf(view, width, x);
    const tolerance = timeOf(view, width, x + 2) - time;
    let nearest: { index: number; distance: number } | null = null;
    view.program.instructions.forEach((instruction, index) => {
      if (instruction.lane !== lane) return;
      const distance = Math.max(instruction.start - time, time - instruction.end, 0);
      if (distance <= tolerance && distance < (nearest?.distance ?? Number.POSITIVE_INFINITY)) {
        nearest = { index, distance };
      }
    });
    return (nearest as { index: number } | null)?.index ?? null;
  }
}

function describe({ id, start, end, stall, bytes, binding, slack }: ReportInstruction): string {
  const lines = [
    id,
    `${formatNanoseconds(start)} + ${formatNanoseconds(end - start)}${bytes > 0 ? `, moves ${formatBytes(bytes)}` : ""}`,
    `bound by ${binding}`,
    stall > 0 ? `lane stood still for ${formatNanoseconds(stall)}` : "",
    slack > 0 ? `slack ${formatNanoseconds(slack)}` : "on the critical path",
  ];
  return lines.filter((line) => line !== "").join("\n");
}
