/** Moving along the time axis on a chart: drag, pinch, double click, and the keys that a focused chart takes. */
import { timeOf } from "./canvas.ts";
import type { View } from "./view.ts";

const KEY_PAN = 0.2;
const KEY_ZOOM = 1.5;
/** Pixels that still are a click. */
const CLICK_SLACK = 4;

export interface PointerHandlers {
  /** At a pixel of the canvas; returns the tooltip's text or null. */
  readonly onHover: (x: number, y: number) => string | null;
  readonly onClick: (x: number, y: number) => void;
}

export function controlTime(
  canvas: HTMLCanvasElement,
  view: View,
  tooltip: HTMLElement,
  { onHover, onClick }: PointerHandlers,
): void {
  let drag: { x: number; moved: number } | null = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.offsetX, moved: 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag !== null) {
      const shift = event.offsetX - drag.x;
      drag = { x: event.offsetX, moved: drag.moved + Math.abs(shift) };
      if (drag.moved > CLICK_SLACK) {
        canvas.classList.add("dragging");
        view.pan(-shift / canvas.clientWidth);
        tooltip.hidden = true;
        return;
      }
    }
    showTooltip(tooltip, event, onHover(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag !== null && drag.moved <= CLICK_SLACK) onClick(event.offsetX, event.offsetY);
    drag = null;
    canvas.classList.remove("dragging");
  });
  canvas.addEventListener("pointerleave", () => {
    tooltip.hidden = true;
  });
  canvas.addEventListener("dblclick", (event) => {
    view.zoom(0.4, timeOf(view, canvas.clientWidth, event.offsetX));
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      // A plain wheel scrolls the page, as everywhere; a pinch arrives as a wheel with Ctrl.
      if (event.ctrlKey || event.metaKey) {
        view.zoom(Math.exp(event.deltaY / 300), timeOf(view, canvas.clientWidth, event.offsetX));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        view.pan(event.deltaX / canvas.clientWidth);
      } else {
        return;
      }
      event.preventDefault();
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    act(view);
    event.preventDefault();
  });
}

const KEYS: Readonly<Record<string, (view: View) => void>> = {
  ArrowLeft: (view) => view.pan(-KEY_PAN),
  ArrowRight: (view) => view.pan(KEY_PAN),
  "+": (view) => view.zoom(1 / KEY_ZOOM),
  "=": (view) => view.zoom(1 / KEY_ZOOM),
  "-": (view) => view.zoom(KEY_ZOOM),
  "0": (view) => view.fit(),
  n: (view) => step(view, 1),
  p: (view) => step(view, -1),
  Enter: (view) => {
    if (view.selected !== null) view.zoomTo(view.selected);
  },
  Escape: (view) => view.select(null),
};

/** Selects the next instruction of the selected one's lane. */
function step(view: View, direction: 1 | -1): void {
  const { instructions, bottleneck } = view.program;
  const lane = view.selected === null ? bottleneck : instructions[view.selected]!.lane;
  let index = view.selected ?? (direction === 1 ? -1 : instructions.length);
  do index += direction;
  while (instructions[index] !== undefined && instructions[index]!.lane !== lane);
  if (instructions[index] === undefined) return;
  view.select(index);
  view.reveal(index);
}

function showTooltip(tooltip: HTMLElement, event: PointerEvent, text: string | null): void {
  tooltip.hidden = text === null;
  if (text === null) return;
  tooltip.textContent = text;
  const { offsetWidth: width, offsetHeight: height } = tooltip;
  const x = Math.min(event.clientX + 14, window.innerWidth - width - 8);
  const y =
    event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 18;
  tooltip.style.transform = `translate(${Math.max(8, x)}px, ${y}px)`;
}
