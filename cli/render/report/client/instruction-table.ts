/**
 * All instructions of a program, searched and sorted; only the rows in sight are in the document, so that thousands cost
 * nothing. The search takes words that must all occur in a row; `lane:h2d` and `unit:L07` ask one column.
 */
import type { ReportInstruction } from "../model.ts";
import { formatBytes, formatNanoseconds } from "./format.ts";
import type { View } from "./view.ts";

const ROW = 28;
const OVERSCAN = 6;

type Sorting = "serial" | "start" | "takes" | "stall" | "slack" | "bytes";

const SORTS: Readonly<Record<Sorting, (one: ReportInstruction) => number>> = {
  serial: () => 0,
  start: ({ start }) => start,
  takes: ({ start, end }) => start - end,
  stall: ({ stall }) => -stall,
  slack: ({ slack }) => slack,
  bytes: ({ bytes }) => -bytes,
};

export class InstructionTable {
  readonly #view: View;
  readonly #grid: HTMLElement;
  readonly #body: HTMLElement;
  readonly #search: HTMLInputElement;
  readonly #count: HTMLElement;
  readonly #headers: readonly HTMLButtonElement[];
  /** Places of the instructions that match, in the table's order. */
  #rows: readonly number[] = [];
  #sorting: Sorting = "serial";

  constructor(root: HTMLElement, view: View) {
    this.#view = view;
    this.#grid = root.querySelector<HTMLElement>("[role=grid]")!;
    this.#body = root.querySelector<HTMLElement>(".rows")!;
    this.#search = root.querySelector<HTMLInputElement>("input")!;
    this.#count = root.querySelector<HTMLElement>(".count")!;
    this.#headers = [...root.querySelectorAll<HTMLButtonElement>("button[data-sort]")];
    this.#search.addEventListener("input", () => this.refresh());
    this.#body.addEventListener("scroll", () => this.draw());
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event));
    this.#body.addEventListener("click", (event) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
      if (row !== null) this.#select(Number(row.dataset.index));
    });
    for (const header of this.#headers) {
      header.addEventListener("click", () => {
        this.#sorting = header.dataset.sort as Sorting;
        this.refresh();
      });
    }
    this.refresh();
  }

  focusSearch(): void {
    this.#search.focus();
    this.#search.select();
  }

  /** After another search, sorting or program. */
  refresh(): void {
    const { instructions } = this.#view.program;
    const matches = matcher(this.#search.value, this.#view.model.lanes);
    const rows = instructions.map((_, index) => index).filter((index) => matches(instructions[index]!));
    const key = SORTS[this.#sorting];
    this.#rows = rows.sort((a, b) => key(instructions[a]!) - key(instructions[b]!) || a - b);
    this.#count.textContent = `${this.#rows.length.toLocaleString("en-US")} of ${instructions.length.toLocaleString("en-US")}`;
    for (const header of this.#headers) {
      const sorted = header.dataset.sort === this.#sorting;
      header.parentElement!.setAttribute("aria-sort", sorted ? "other" : "none");
    }
    this.#body.scrollTop = 0;
    this.draw();
  }

  draw(): void {
    const first = Math.max(0, Math.floor(this.#body.scrollTop / ROW) - OVERSCAN);
    const last = Math.min(
      this.#rows.length,
      Math.ceil((this.#body.scrollTop + this.#body.clientHeight) / ROW) + OVERSCAN,
    );
    const space = document.createElement("div");
    space.className = "space";
    space.style.height = `${this.#rows.length * ROW}px`;
    for (let row = first; row < last; row++) space.append(this.#row(row));
    this.#grid.setAttribute("aria-rowcount", String(this.#rows.length));
    const active = this.#view.selected === null ? -1 : this.#rows.indexOf(this.#view.selected);
    if (active < 0) this.#grid.removeAttribute("aria-activedescendant");
    else this.#grid.setAttribute("aria-activedescendant", `row-${this.#view.selected}`);
    this.#body.replaceChildren(space);
  }

  /** Scrolls to the selection, if the search has not hidden it. */
  reveal(): void {
    const { selected } = this.#view;
    const row = selected === null ? -1 : this.#rows.indexOf(selected);
    if (row < 0) return;
    const [top, bottom] = [row * ROW, (row + 1) * ROW];
    if (top < this.#body.scrollTop) this.#body.scrollTop = top;
    const { clientHeight } = this.#body;
    if (bottom > this.#body.scrollTop + clientHeight) this.#body.scrollTop = bottom - clientHeight;
  }

  #row(place: number): HTMLElement {
    const index = this.#rows[place]!;
    const { id, lane, work, start, end, stall, slack, bytes } = this.#view.program.instructions[index]!;
    const row = document.createElement("div");
    row.className = "row";
    row.id = `row-${index}`;
    row.dataset.index = String(index);
    row.style.top = `${place * ROW}px`;
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(place + 1));
    row.setAttribute("aria-selected", String(index === this.#view.selected));
    const cells = [
      String(index),
      id,
      this.#view.model.lanes[lane]!,
      formatNanoseconds(start),
      formatNanoseconds(end - start),
      stall === 0 ? "" : formatNanoseconds(stall),
      slack === 0 ? "critical" : formatNanoseconds(slack),
      bytes === 0 ? "" : formatBytes(bytes),
    ];
    for (const [column, text] of cells.entries()) {
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.textContent = text;
      if (column === 1) {
        const mark = document.createElement("span");
        mark.className = "mark";
        mark.style.background = `var(--work-${work})`;
        cell.prepend(mark);
      }
      row.append(cell);
    }
    return row;
  }

  #onKey(event: KeyboardEvent): void {
    if (event.target instanceof HTMLButtonElement) return;
    const page = Math.max(1, Math.floor(this.#body.clientHeight / ROW) - 1);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: Number.NEGATIVE_INFINITY,
      End: Number.POSITIVE_INFINITY,
    };
    const { selected } = this.#view;
    const move = moves[event.key];
    if (event.key === "Enter" && selected !== null) this.#view.zoomTo(selected);
    else if (move !== undefined && this.#rows.length > 0) {
      const at = selected === null ? -1 : this.#rows.indexOf(selected);
      this.#select(this.#rows[Math.max(0, Math.min(this.#rows.length - 1, at + move))]!);
    } else return;
    event.preventDefault();
  }

  #select(index: number): void {
    this.#view.select(index);
    this.#view.reveal(index);
    this.reveal();
  }
}

function matcher(query: string, lanes: readonly string[]): (one: ReportInstruction) => boolean {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return ({ id, lane, unit, work }) => {
    const columns: Readonly<Record<string, string>> = {
      lane: lanes[lane]!,
      unit: (unit ?? "").toLowerCase(),
      work,
    };
    return words.every((word) => {
      const [column, wanted] = word.split(/:(.*)/s);
      const text = columns[column!];
      if (wanted !== undefined && text !== undefined) return text === wanted;
      return `${id} ${lanes[lane]}`.toLowerCase().includes(word);
    });
  };
}
