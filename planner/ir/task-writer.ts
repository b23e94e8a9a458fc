/**
 * Appends tasks to a program one by one and declares the values they touch. The order of calls is the serial order of
 * the program.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { ArenaName, PlanProcedure, ProgramName } from "../../schemas/plan.ts";
import type { Task, Value, ValuePlace, ValueRange } from "./schedule.ts";
import { at, ValueTable } from "./values.ts";

type Holds = Value["holds"];

interface RunOptions {
  /** Unit that the formal `weights` needs. */
  readonly unit?: string | null;
  readonly lane?: "compute" | "host";
  /** Name of the scratch buffer: procedures that name the same one, on one lane, share it. By default each has its own. */
  readonly scratch?: string;
}

export class TaskWriter {
  readonly values = new ValueTable();
  /** Where kernels compute. */
  readonly arena: ArenaName;
  readonly #procedures: ReadonlyMap<string, PlanProcedure>;
  #program: ProgramName = "train-step";
  #tasks: Task[] = [];
  readonly #scratches = new Map<string, ValuePlace>();
  readonly #places = new Map<string, ValuePlace[]>();

  constructor(arena: ArenaName, procedures: readonly PlanProcedure[]) {
    this.arena = arena;
    this.#procedures = new Map(procedures.map((procedure) => [procedure.id, procedure]));
  }

  get program(): ProgramName {
    return this.#program;
  }

  begin(program: ProgramName): void {
    this.#program = program;
    this.#tasks = [];
    this.#scratches.clear();
    this.#places.clear();
  }

  end(): readonly Task[] {
    return this.#tasks;
  }

  /** A value that outlives every program; nothing when it has no bytes. */
  persistent(id: string, arena: ArenaName, bytes: number, holds: Holds): void {
    if (bytes > 0) this.values.declare(id, arena, bytes, holds, null);
  }

  /** A value of the running program, in the compute arena unless said otherwise; returns its id. */
  value(name: string, bytes: number, holds: Holds, arena: ArenaName = this.arena): string {
    return this.values.declare(`${name}@${this.#program}`, arena, bytes, holds, this.#program);
  }

  /** A place that many tasks of the running program name: what it is and its number, so that it is named once. */
  place(what: string, number: number, make: () => ValuePlace): ValuePlace {
    let places = this.#places.get(what);
    if (!places) {
      places = [];
      this.#places.set(what, places);
    }
    places[number] ??= make();
    return places[number];
  }

  /** The id of a value of the running program. */
  name(name: string): string {
    return `${name}@${this.#program}`;
  }

  run(
    id: string,
    procedure: string,
    bind: Readonly<Record<string, ValuePlace>>,
    { unit = null, lane = "compute", scratch = procedure }: RunOptions = {},
  ): void {
    const formals = this.#procedures.get(procedure)?.formals;
    invariant(formals, `procedure ${procedure} does not exist`);
    const used: Record<string, ValuePlace> = {};
    for (let index = 0; index < formals.length; index++) {
      const { name, bytes } = formals[index]!;
      const place = name === "scratch" ? this.#scratch(scratch, lane, bytes) : bind[name];
      if (place) used[name] = place;
      else invariant(name === "weights", `${id}: formal ${name} of ${procedure} is not bound`);
    }
    this.#tasks.push({ kind: "run", id, lane, procedure, bind: used, unit });
  }

  copy(id: string, lane: "h2d" | "d2h", from: ValuePlace, to: ValuePlace, bytes: number): void {
    this.#tasks.push({ kind: "copy", id, lane, from, to, bytes, unit: null });
  }

  gather(id: string, tensor: string, indices: ValueRange, to: ValuePlace): void {
    this.#tasks.push({ kind: "gather", id, lane: "disk", tensor, indices, to });
  }

  write(id: string, sink: string, offset: number, from: ValueRange): void {
    this.#tasks.push({ kind: "write", id, lane: "disk", sink, offset, from });
  }

  /** Brings a buffer of ram to where kernels compute; returns the buffer there. */
  toDevice(name: string, buffer: string, bytes: number): string {
    if (this.arena === "ram") return buffer;
    const device = this.value(`${name}.device`, bytes, "activation");
    this.copy(`copy/${name}`, "h2d", at(buffer), at(device), bytes);
    return device;
  }

  /** As large as the largest scratch that it serves, and alive while the program still runs one of its procedures. */
  #scratch(name: string, lane: "compute" | "host", bytes: number): ValuePlace {
    const known = this.#scratches.get(name);
    if (known) {
      this.values.widen(known.buffer, bytes);
      return known;
    }
    const arena = lane === "host" ? "ram" : this.arena;
    const place = at(this.value(`scratch/${name}`, bytes, "scratch", arena));
    this.#scratches.set(name, place);
    return place;
  }
}
