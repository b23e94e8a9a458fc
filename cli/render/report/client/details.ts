/** Everything about the selected instruction: time, what binds it, what it waits for, and the bytes it touches. */
import type { ReportRange } from "../model.ts";
import { formatBytes, formatNanoseconds } from "./format.ts";
import type { View } from "./view.ts";

const FOLLOWERS_SHOWN = 12;

export function drawDetails(root: HTMLElement, view: View): void {
  const { selected, program, model } = view;
  if (selected === null) {
    root.replaceChildren(paragraph("hint", "Select an instruction in the timeline or in the table."));
    return;
  }
  const { id, kind, lane, start, end, slack, stall, bytes, unit, binding, waits, reads, writes } =
    program.instructions[selected]!;
  const followers = program.instructions
    .map((_, index) => index)
    .filter((index) => program.instructions[index]!.waits.includes(selected));
  const title = document.createElement("h3");
  title.textContent = id;
  root.replaceChildren(
    title,
    facts([
      ["what", `${kind} on ${model.lanes[lane]}${unit === null ? "" : `, unit ${unit}`}`],
      ["starts", formatNanoseconds(start)],
      ["takes", formatNanoseconds(end - start)],
      ["bound by", binding],
      ["stood still", stall === 0 ? "not at all" : formatNanoseconds(stall)],
      ["slack", slack === 0 ? "none: on the critical path" : formatNanoseconds(slack)],
      ...(bytes === 0 ? [] : [["moves", formatBytes(bytes)] as const]),
    ]),
    ...links("waits for", waits, view),
    ...links("waited for by", followers, view),
    ...ranges("reads", reads, view),
    ...ranges("writes", writes, view),
  );
}

function facts(rows: readonly (readonly [string, string])[]): HTMLElement {
  const list = document.createElement("dl");
  for (const [name, value] of rows) {
    const term = document.createElement("dt");
    term.textContent = name;
    const definition = document.createElement("dd");
    definition.textContent = value;
    list.append(term, definition);
  }
  return list;
}

function links(title: string, indices: readonly number[], view: View): HTMLElement[] {
  if (indices.length === 0) return [];
  const list = document.createElement("ul");
  for (const index of indices.slice(0, FOLLOWERS_SHOWN)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = view.program.instructions[index]!.id;
    button.addEventListener("click", () => {
      view.select(index);
      view.reveal(index);
    });
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  }
  const rest = indices.length - FOLLOWERS_SHOWN;
  return [heading(title), list, ...(rest > 0 ? [paragraph("hint", `and ${rest} more`)] : [])];
}

function ranges(title: string, list: readonly ReportRange[], view: View): HTMLElement[] {
  if (list.length === 0) return [];
  const table = document.createElement("table");
  for (const [buffer, offset, bytes] of list) {
    const { id, arena, offset: base } = view.model.buffers[buffer]!;
    const row = table.insertRow();
    for (const text of [id, formatBytes(bytes), `${arena} + ${base + offset}`]) {
      row.insertCell().textContent = text;
    }
  }
  return [heading(title), table];
}

function heading(text: string): HTMLElement {
  const element = document.createElement("h4");
  element.textContent = text;
  return element;
}

function paragraph(className: string, text: string): HTMLElement {
  const element = document.createElement("p");
  element.className = className;
  element.textContent = text;
  return element;
}
