/** What all parts of the page share: the program, the visible span of time, the selection; and who is told of changes. */
import type { ReportModel, ReportProgram } from "../model.ts";

type Listener = () => void;

/** No closer than this many nanoseconds in the whole width. */
const CLOSEST = 1000;

export class View {
  readonly model: ReportModel;
  #program: ReportProgram;
  #from = 0;
  #to: number;
  #selected: number | null = null;
  readonly #listeners: Listener[] = [];

  constructor(model: ReportModel) {
    this.model = model;
    this.#program = model.programs[0]!;
    this.#to = this.#program.duration;
  }

  get program(): ReportProgram {
    return this.#program;
  }

  /** Nanoseconds; [from, to] is what is visible. */
  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  /** Place in the program's instructions. */
  get selected(): number | null {
    return this.#selected;
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  choose(name: string): void {
    this.#program = this.model.programs.find((program) => program.name === name) ?? this.#program;
    this.#selected = null;
    this.fit();
  }

  select(index: number | null): void {
    this.#selected = index;
    this.#changed();
  }

  fit(): void {
    this.#show(0, this.#program.duration);
  }

  /** Around an instruction, with as much again on both sides. */
  zoomTo(index: number): void {
    const { start, end } = this.#program.instructions[index]!;
    const margin = Math.max(end - start, this.#program.duration / 500);
    this.#show(start - margin, end + margin);
  }

  /** Moves the span so that an instruction is visible; the scale stays. */
  reveal(index: number): void {
    const { start, end } = this.#program.instructions[index]!;
    if (end < this.#from || start > this.#to) this.centre((start + end) / 2);
  }

  centre(time: number): void {
    const width = this.#to - this.#from;
    this.#show(time - width / 2, time + width / 2);
  }

  /** A factor below 1 comes closer; `time` keeps its place on the screen. */
  zoom(factor: number, time = (this.#from + this.#to) / 2): void {
    this.#show(time - (time - this.#from) * factor, time + (this.#to - time) * factor);
  }

  /** By a share of the visible width. */
  pan(share: number): void {
    const shift = (this.#to - this.#from) * share;
    this.#show(this.#from + shift, this.#to + shift);
  }

  #show(from: number, to: number): void {
    const { duration } = this.#program;
    const width = Math.min(duration, Math.max(CLOSEST, to - from));
    this.#from = Math.max(0, Math.min(duration - width, from));
    this.#to = this.#from + width;
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
