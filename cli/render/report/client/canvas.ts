/** A canvas that is sharp on every screen, with the page's colours and the time axis that all charts share. */
import { formatTick, ticks } from "./format.ts";
import type { View } from "./view.ts";

/** Room for names left of every chart, in pixels, so that all share one time axis. */
export const GUTTER = 84;
const FONT = "11px ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export interface Frame {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  readonly color: (name: string) => string;
}

/** Clears the canvas at its present size; null while it is not visible. */
export function beginFrame(canvas: HTMLCanvasElement): Frame | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (context === null || width === 0 || height === 0) return null;
  const scale = window.devicePixelRatio || 1;
  const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixelWidth) canvas.width = pixelWidth;
  if (canvas.height !== pixelHeight) canvas.height = pixelHeight;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = "middle";
  const style = getComputedStyle(canvas);
  const known = new Map<string, string>();
  const color = (name: string): string => {
    const found = known.get(name) ?? style.getPropertyValue(`--${name}`).trim();
    known.set(name, found);
    return found;
  };
  return { context, width, height, color };
}

/** Pixel of a moment. */
export function xOf({ from, to }: View, width: number, time: number): number {
  return GUTTER + ((time - from) / (to - from)) * (width - GUTTER);
}

export function timeOf({ from, to }: View, width: number, x: number): number {
  return from + ((x - GUTTER) / (width - GUTTER)) * (to - from);
}

/** Vertical lines at round times over the whole height; with labels where the axis is. */
export function drawTimeGrid(
  view: View,
  { context, width, height, color }: Frame,
  labelY: number | null,
): void {
  const marks = ticks(view.from, view.to, Math.floor((width - GUTTER) / 110));
  const step = (marks[1] ?? view.to) - (marks[0] ?? view.from);
  context.textAlign = "center";
  for (const mark of marks) {
    const x = Math.round(xOf(view, width, mark)) + 0.5;
    context.fillStyle = color("grid");
    context.fillRect(x, 0, 1, height);
    if (labelY === null || x > width - 24 || x < GUTTER + 18) continue;
    context.fillStyle = color("muted");
    context.fillText(formatTick(mark, step), x, labelY);
  }
  context.textAlign = "left";
}

/** As much of a text as fits, or nothing. */
export function fitText(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (width < 16) return "";
  if (context.measureText(text).width <= width) return text;
  const letters = Math.floor(text.length * (width / context.measureText(text).width)) - 1;
  return letters < 3 ? "" : `${text.slice(0, letters)}…`;
}
