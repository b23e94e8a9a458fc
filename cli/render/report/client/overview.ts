/** The whole step in one strip, with the visible span marked; a press or a drag moves the span there. */
import { beginFrame, GUTTER } from "./canvas.ts";
import type { View } from "./view.ts";

export class Overview {
  readonly #canvas: HTMLCanvasElement;
  readonly #view: View;

  constructor(canvas: HTMLCanvasElement, view: View) {
    this.#canvas = canvas;
    this.#view = view;
    let pressed = false;
    const move = (event: PointerEvent): void => {
      const share = (event.offsetX - GUTTER) / (canvas.clientWidth - GUTTER);
      view.centre(share * view.program.duration);
    };
    canvas.addEventListener("pointerdown", (event) => {
      pressed = true;
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (pressed) move(event);
    });
    canvas.addEventListener("pointerup", () => {
      pressed = false;
    });
  }

  draw(): void {
    const frame = beginFrame(this.#canvas);
    if (frame === null) return;
    const { context, width, height, color } = frame;
    const { program, from, to } = this.#view;
    const scale = (width - GUTTER) / Math.max(1, program.duration);
    context.fillStyle = color("muted");
    context.fillText("whole step", 4, height / 2);
    for (const { lane, start, end, work } of program.instructions) {
      if (lane !== program.bottleneck) continue;
      context.fillStyle = color(`work-${work}`);
      context.fillRect(GUTTER + start * scale, 4, Math.max(0.5, (end - start) * scale), height - 8);
    }
    const [left, right] = [GUTTER + from * scale, GUTTER + to * scale];
    context.fillStyle = color("veil");
    context.fillRect(GUTTER, 0, left - GUTTER, height);
    context.fillRect(right, 0, width - right, height);
    context.strokeStyle = color("accent");
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, 0.75, Math.max(3, right - left - 1.5), height - 1.5);
  }
}
