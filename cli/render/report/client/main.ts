/** The page's script: reads the model that the page carries, and draws. Nothing is fetched. */
import type { ReportModel } from "../model.ts";
import { drawDetails } from "./details.ts";
import { InstructionTable } from "./instruction-table.ts";
import { MemoryChart } from "./memory-chart.ts";
import { Overview } from "./overview.ts";
import { Timeline } from "./timeline.ts";
import { View } from "./view.ts";

function start(): void {
  const model = JSON.parse(element("model").textContent ?? "") as ReportModel;
  const view = new View(model);
  const tooltip = element("tooltip");
  const hidden = new Set<string>();
  const overview = new Overview(canvas("overview"), view);
  const timeline = new Timeline(canvas("timeline"), view, tooltip);
  const memories = model.arenas.map(
    ({ name }, arena) => new MemoryChart(canvas(`memory-${name}`), view, arena, hidden, tooltip),
  );
  const table = new InstructionTable(element("instructions"), view);

  const draw = (): void => {
    overview.draw();
    timeline.draw();
    for (const memory of memories) memory.draw();
  };
  let due = false;
  const redraw = (): void => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  };
  let [program, selected] = [view.program, view.selected];
  view.onChange(() => {
    if (program !== view.program) {
      [program, selected] = [view.program, view.selected];
      for (const memory of memories) memory.layOut();
      drawDetails(element("details"), view);
      table.refresh();
    } else if (selected !== view.selected) {
      selected = view.selected;
      drawDetails(element("details"), view);
      table.draw();
      table.reveal();
    }
    redraw();
  });
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-zoom]")) {
    const factor = Number(button.dataset.zoom);
    button.addEventListener("click", () => (factor === 0 ? view.fit() : view.zoom(factor)));
  }
  for (const box of document.querySelectorAll<HTMLInputElement>("[data-holding]")) {
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(box.dataset.holding!);
      else hidden.add(box.dataset.holding!);
      for (const memory of memories) memory.layOut();
      redraw();
    });
  }
  const chooser = element("program") as HTMLSelectElement;
  chooser.addEventListener("change", () => view.choose(chooser.value));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
    table.focusSearch();
    event.preventDefault();
  });
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", draw);
  drawDetails(element("details"), view);
  draw();
  // The timeline's height follows from its lanes, and is known only after the first drawing.
  draw();
  table.draw();
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page lacks #${id}`);
  return found;
}

const canvas = (id: string): HTMLCanvasElement => element(id) as HTMLCanvasElement;

start();
