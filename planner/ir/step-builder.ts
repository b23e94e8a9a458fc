/**
 * Emits the tasks of a program one by one and declares the values they touch. The order of calls is the serial order
 * of the program; `passes/expand-step.ts` decides it.
 *
 * With two tiers everything lives in ram. With three, kernels compute in vram: step inputs and embedding rows are
 * copied there, gradients are flushed back as each unit's backward ends, and the optimizer runs on the host lane over
 * the master copy of the adapter in ram, which is then copied to vram.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { ArenaName, PlanProcedure, ProgramName } from "../../schemas/plan.ts";
import { blockName, type Procedures } from "./procedures.ts";
import type { Shape, Task, ValuePlace } from "./schedule.ts";
import { blockId, type HeadChunk, tensorByName, type Units } from "./units.ts";
import {
  adapterOffsets,
  at,
  computeArena,
  inputLayout,
  OUTPUT_BYTES,
  outputPlaces,
  type RowInput,
  slotBytes,
  stagingBytes,
  ValueTable,
} from "./values.ts";

/** Whether the head also computes gradients. */
export type HeadMode = "gradient" | "loss";

export class StepBuilder {
  readonly values = new ValueTable();
  readonly microBatches: readonly number[];
  readonly layers: number;
  readonly adapter: { offsets: readonly number[]; bytes: number };
  readonly #inputs: Inputs;
  readonly #units: Units;
  readonly #shape: Shape;
  readonly #procedures: ReadonlyMap<string, PlanProcedure>;
  readonly #saved: Procedures["saved"];
  readonly #arena: ArenaName;
  readonly #layout: ReturnType<typeof inputLayout>;
  /** Bytes of the cosines (and of the sines) of a micro-batch. */
  readonly #tableBytes: number;
  #program: ProgramName = "train-step";
  #tasks: Task[] = [];

  constructor(inputs: Inputs, units: Units, shape: Shape, procedures: Procedures) {
    const { batch_size } = inputs.recipe.training;
    invariant(
      batch_size % shape.microBatch === 0,
      `micro-batch ${shape.microBatch} does not divide ${batch_size}`,
    );
    this.#inputs = inputs;
    this.#units = units;
    this.#shape = shape;
    this.#procedures = new Map(procedures.all.map((procedure) => [procedure.id, procedure]));
    this.#saved = procedures.saved;
    this.#arena = computeArena(shape);
    this.#layout = inputLayout(inputs);
    const frequencies = Object.values(inputs.model.constants).flat().length;
    this.#tableBytes = tensorBytes([shape.microBatch, inputs.recipe.sequence.length, frequencies], "f32");
    this.microBatches = Array.from({ length: batch_size / shape.microBatch }, (_, index) => index);
    this.layers = inputs.model.blocks.length;
    this.adapter = adapterOffsets(inputs, units);
    this.#declarePersistent();
  }

  get headChunks(): readonly number[] {
    return this.#units.head.map((_, index) => index);
  }

  begin(program: ProgramName): void {
    this.#program = program;
    this.#tasks = [];
  }

  end(): readonly Task[] {
    return this.#tasks;
  }

  /** Step inputs to vram. */
  copyInputs(): void {
    if (this.#arena === "ram") return;
    const { bytes } = this.#layout;
    this.#copy("copy/inputs", "h2d", at("inputs"), at("inputs.device"), bytes);
  }

  tables(mb: number): void {
    const half = this.#tableBytes;
    const tables = this.#value(`tables/mb${mb}`, 2 * half, "activation");
    this.#run(`tables/mb${mb}`, "tables", {
      positions: this.#rows("positions", mb),
      inverse_frequencies: at("constants"),
      cosine: at(tables),
      sine: at(tables, half),
    });
  }

  /** Rows of the embedding table, then the first boundary activation. */
  embed(mb: number): void {
    const { embedding } = this.#shape;
    if (embedding === "resident") {
      this.#run(
        `embed/mb${mb}`,
        "embed",
        { tokens: this.#rows("tokens", mb), y: this.#boundary(0, mb) },
        this.#units.embedding,
      );
      return;
    }
    const { hidden, embedding: table } = this.#inputs.model;
    const { sequence } = this.#inputs.recipe;
    const tensor = tensorByName(this.#inputs, table);
    const bytes = tensorBytes([this.#shape.microBatch, sequence.length, hidden], tensor.storage);
    const rows = this.values.declare(
      `rows/mb${mb}@${this.#program}`,
      "ram",
      bytes,
      "activation",
      this.#program,
    );
    const tokens = this.#microBatchBytes("tokens", mb);
    const indices = { buffer: "inputs", offset: tokens.offset, bytes: tokens.bytes };
    this.#tasks.push({
      kind: "gather",
      id: `gather/mb${mb}`,
      lane: "disk",
      tensor: tensor.name,
      indices,
      to: at(rows),
    });
    const source = this.#toDevice(`rows/mb${mb}`, rows, bytes);
    this.#run(`embed/mb${mb}`, "embed", { rows: at(source), y: this.#boundary(0, mb) });
  }

  forward(layer: number, mb: number): void {
    const saving = this.#program === "train-step" && this.#keeps(layer);
    const name = `${this.#blockName(layer)}.forward${saving ? ".saving" : ""}`;
    this.#run(
      `fwd/${blockId(layer, this.layers)}/mb${mb}`,
      name,
      {
        x: this.#boundary(layer, mb),
        y: this.#boundary(layer + 1, mb),
        ...this.#shared(layer, mb),
        ...(saving && { saved: this.#savedPlace(layer, mb) }),
      },
      this.#units.blocks[layer]!,
    );
  }

  backward(layer: number, mb: number): void {
    const saved = this.#keeps(layer);
    this.#run(
      `bwd/${blockId(layer, this.layers)}/mb${mb}`,
      `${this.#blockName(layer)}.backward${saved ? ".saved" : ""}`,
      {
        x: this.#boundary(layer, mb),
        grad: this.#gradientStream(mb),
        gradient: this.#gradientPlace(layer),
        ...this.#shared(layer, mb),
        ...(saved && { saved: this.#savedPlace(layer, mb) }),
      },
      this.#units.blocks[layer]!,
    );
  }

  headBegin(mb: number, mode: HeadMode): void {
    this.#run(
      `head/begin/mb${mb}`,
      `head.begin${suffix(mode)}`,
      { x: this.#boundary(this.layers, mb), y: this.#normalized(mb), ...this.#headState(mb, mode) },
      this.#units.norm,
    );
  }

  headTile(chunk: number, mb: number, mode: HeadMode): void {
    const { unit }: HeadChunk = this.#units.head[chunk]!;
    this.#run(
      `${unit}/mb${mb}`,
      `head.tile/${chunk}${suffix(mode)}`,
      { x: this.#normalized(mb), labels: this.#rows("labels", mb), ...this.#headState(mb, mode) },
      unit,
    );
  }

  headFinish(mb: number, mode: HeadMode): void {
    const { sequence } = this.#inputs.recipe;
    const lossBytes = tensorBytes([this.#shape.microBatch, sequence.length], "f32");
    const losses = this.#value("losses", lossBytes * this.microBatches.length, "activation");
    this.#run(
      `head/finish/mb${mb}`,
      `head.finish${suffix(mode)}`,
      {
        labels: this.#rows("labels", mb),
        inverse_tokens: this.#scalar("inverse_tokens", this.#arena),
        losses: at(losses, mb * lossBytes),
        ...this.#headState(mb, mode),
        ...(mode === "gradient" && { x: this.#boundary(this.layers, mb), grad: this.#gradientStream(mb) }),
      },
      mode === "gradient" ? this.#units.norm : null,
    );
  }

  reduceLoss(): void {
    const outputs = this.#arena === "ram" ? "outputs" : "outputs.device";
    this.#run("loss", "step.loss", {
      losses: at(this.#valueName("losses")),
      inverse_tokens: this.#scalar("inverse_tokens", this.#arena),
      loss: at(outputs, outputPlaces.loss),
    });
    if (this.#arena === "vram")
      this.#copy("copy/loss", "d2h", at(outputs), at("outputs", outputPlaces.loss), 8);
  }

  zeroGradient(layer: number): void {
    if (this.#adapterBytes(layer) === 0) return;
    const id = `zero/${blockId(layer, this.layers)}`;
    this.#run(id, this.#adapterProcedure("zero", layer), { gradient: this.#gradientPlace(layer) });
  }

  /** Gradients of a unit to the host, where the optimizer runs. */
  flushGradient(layer: number): void {
    const bytes = this.#adapterBytes(layer);
    if (this.#arena === "ram" || bytes === 0) return;
    const id = `flush/${blockId(layer, this.layers)}`;
    this.#copy(
      id,
      "d2h",
      this.#gradientPlace(layer),
      at(this.#hostGradient(), this.adapter.offsets[layer]!),
      bytes,
    );
  }

  /** Global norm and overflow check, then every unit's update: nothing may change before the norm is known. */
  optimizer(): void {
    const adapted = Array.from({ length: this.layers }, (_, layer) => layer).filter(
      (l) => this.#adapterBytes(l) > 0,
    );
    if (adapted.length === 0) return;
    const lane = this.#arena === "ram" ? "compute" : "host";
    const gradient = this.#hostGradient();
    const squares = this.values.declare("squares", "ram", 8 * adapted.length, "activation", "train-step");
    adapted.forEach((layer, index) => {
      const bind = { gradient: at(gradient, this.adapter.offsets[layer]!), square: at(squares, 8 * index) };
      this.#run(
        `squares/${blockId(layer, this.layers)}`,
        this.#adapterProcedure("squares", layer),
        bind,
        null,
        lane,
      );
    });
    const { norm, clip, skip } = outputPlaces;
    const results = { norm: at("outputs", norm), clip: at("outputs", clip), skip: at("outputs", skip) };
    this.#run("norm", "step.norm", { squares: at(squares), ...results }, null, lane);
    for (const layer of adapted) {
      const offset = this.adapter.offsets[layer]!;
      const bind = {
        param: at("adapter", offset),
        grad: at(gradient, offset),
        first_moment: at("first_moment", offset),
        second_moment: at("second_moment", offset),
        clip: results.clip,
        skip: results.skip,
        step_size: this.#scalar("step_size", "ram"),
        decay: this.#scalar("decay", "ram"),
        bias_correction: this.#scalar("bias_correction", "ram"),
      };
      this.#run(
        `adamw/${blockId(layer, this.layers)}`,
        this.#adapterProcedure("update", layer),
        bind,
        null,
        lane,
      );
      this.copyAdapter(layer);
    }
  }

  /** A unit's adapter from its master copy to vram. */
  copyAdapter(layer: number): void {
    const bytes = this.#adapterBytes(layer);
    if (this.#arena === "ram" || bytes === 0) return;
    const offset = this.adapter.offsets[layer]!;
    this.#copy(
      `copy/adapter/${blockId(layer, this.layers)}`,
      "h2d",
      at("adapter", offset),
      at("adapter.device", offset),
      bytes,
    );
  }

  write(sink: string, offset: number, buffer: string, bytes: number): void {
    this.#tasks.push({
      kind: "write",
      id: `write/${buffer}`,
      lane: "disk",
      sink,
      offset,
      from: { buffer, offset: 0, bytes },
    });
  }

  #declarePersistent(): void {
    const { values } = this;
    const arena = this.#arena;
    const persistent = (
      id: string,
      where: ArenaName,
      bytes: number,
      holds: Parameters<ValueTable["declare"]>[3],
    ) => {
      if (bytes > 0) values.declare(id, where, bytes, holds, null);
    };
    const slot = slotBytes(this.#units);
    const table = tensorByName(this.#inputs, this.#inputs.model.embedding);
    const largest = this.#shape.embedding === "resident" ? Math.max(slot, table.bytes) : slot;
    persistent("staging", "ram", stagingBytes(largest), "staging");
    persistent("inputs", "ram", this.#layout.bytes, "input");
    persistent("outputs", "ram", OUTPUT_BYTES, "output");
    persistent("constants", arena, 4 * Object.values(this.#inputs.model.constants).flat().length, "constant");
    persistent("adapter", "ram", this.adapter.bytes, "adapter");
    persistent("first_moment", "ram", this.adapter.bytes, "optimizer");
    persistent("second_moment", "ram", this.adapter.bytes, "optimizer");
    if (arena === "vram") {
      persistent("inputs.device", "vram", this.#layout.bytes, "input");
      persistent("outputs.device", "vram", 8, "output");
      persistent("adapter.device", "vram", this.adapter.bytes, "adapter");
    }
  }

  #run(
    id: string,
    procedure: string,
    bind: Readonly<Record<string, ValuePlace>>,
    unit: string | null = null,
    lane: "compute" | "host" = "compute",
  ): void {
    const formals = this.#procedures.get(procedure)?.formals;
    invariant(formals, `procedure ${procedure} does not exist`);
    const used: Record<string, ValuePlace> = {};
    for (const { name, bytes } of formals) {
      const place = name === "scratch" ? this.#scratch(procedure, lane, bytes) : bind[name];
      invariant(place || name === "weights", `${id}: formal ${name} of ${procedure} is not bound`);
      if (place) used[name] = place;
    }
    this.#tasks.push({ kind: "run", id, lane, procedure, bind: used, unit });
  }

  #copy(id: string, lane: "h2d" | "d2h", from: ValuePlace, to: ValuePlace, bytes: number): void {
    this.#tasks.push({ kind: "copy", id, lane, from, to, bytes, unit: null });
  }

  /** One scratch buffer per procedure, alive while the program still runs it: phases share its bytes. */
  #scratch(procedure: string, lane: "compute" | "host", bytes: number): ValuePlace {
    const arena = lane === "host" ? "ram" : this.#arena;
    return at(
      this.values.declare(this.#valueName(`scratch/${procedure}`), arena, bytes, "scratch", this.#program),
    );
  }

  /** A value of the running program in the compute arena. */
  #value(name: string, bytes: number, holds: "activation" | "gradient"): string {
    return this.values.declare(this.#valueName(name), this.#arena, bytes, holds, this.#program);
  }

  #valueName(name: string): string {
    return `${name}@${this.#program}`;
  }

  #toDevice(name: string, buffer: string, bytes: number): string {
    if (this.#arena === "ram") return buffer;
    const device = this.#value(`${name}.device`, bytes, "activation");
    this.#copy(`copy/${name}`, "h2d", at(buffer), at(device), bytes);
    return device;
  }

  #boundary(layer: number, mb: number): ValuePlace {
    const { sequence } = this.#inputs.recipe;
    const bytes = tensorBytes([this.#shape.microBatch, sequence.length, this.#inputs.model.hidden], "f32");
    return at(this.#value(`stream/${blockId(layer, this.layers)}/mb${mb}`, bytes, "activation"));
  }

  #gradientStream(mb: number): ValuePlace {
    const { sequence } = this.#inputs.recipe;
    const bytes = tensorBytes([this.#shape.microBatch, sequence.length, this.#inputs.model.hidden], "f32");
    return at(this.#value(`grad/mb${mb}`, bytes, "gradient"));
  }

  #normalized(mb: number): ValuePlace {
    const { sequence } = this.#inputs.recipe;
    const { activation } = this.#inputs.numerics;
    const bytes = tensorBytes(
      [this.#shape.microBatch, sequence.length, this.#inputs.model.hidden],
      activation,
    );
    return at(this.#value(`normalized/mb${mb}`, bytes, "activation"));
  }

  #headState(mb: number, mode: HeadMode): Readonly<Record<string, ValuePlace>> {
    const { sequence } = this.#inputs.recipe;
    const vector = tensorBytes([this.#shape.microBatch, sequence.length], "f32");
    const state = this.#value(`softmax/mb${mb}`, 3 * vector, "activation");
    const places = { maximum: at(state), sum: at(state, vector), label_logit: at(state, 2 * vector) };
    if (mode === "loss") return places;
    const matrix = vector * this.#inputs.model.hidden;
    return {
      ...places,
      expected_row: at(this.#value(`expected_row/mb${mb}`, matrix, "activation")),
      label_row: at(this.#value(`label_row/mb${mb}`, matrix, "activation")),
    };
  }

  /** What every block reads: rope tables, segments, and its adapter. */
  #shared(layer: number, mb: number): Readonly<Record<string, ValuePlace>> {
    const tables = this.#valueName(`tables/mb${mb}`);
    const adapter = this.#arena === "ram" ? "adapter" : "adapter.device";
    return {
      cosine: at(tables),
      sine: at(tables, this.#tableBytes),
      segment_start: this.#rows("segment_start", mb),
      ...(this.#adapterBytes(layer) > 0 && { adapter: at(adapter, this.adapter.offsets[layer]!) }),
    };
  }

  #microBatchBytes(name: RowInput, mb: number): { offset: number; bytes: number } {
    const bytes = tensorBytes([this.#shape.microBatch, this.#inputs.recipe.sequence.length], "i32");
    return { offset: this.#layout.rows(name) + mb * bytes, bytes };
  }

  /** One micro-batch's part of a step input, in the compute arena. */
  #rows(name: RowInput, mb: number): ValuePlace {
    return at(this.#arena === "ram" ? "inputs" : "inputs.device", this.#microBatchBytes(name, mb).offset);
  }

  #scalar(name: Parameters<ReturnType<typeof inputLayout>["scalar"]>[0], arena: ArenaName): ValuePlace {
    return at(arena === "ram" ? "inputs" : "inputs.device", this.#layout.scalar(name));
  }

  #blockName(layer: number): string {
    return blockName(this.#inputs.model.blocks[layer]!.graph);
  }

  #adapterProcedure(work: "zero" | "squares" | "update", layer: number): string {
    const { graph } = this.#inputs.model.blocks[layer]!;
    return `adapter.${work}${graph === 0 ? "" : graph}`;
  }

  #adapterBytes(layer: number): number {
    return this.#units.adapters[this.#inputs.model.blocks[layer]!.graph]!.bytes;
  }

  #hostGradient(): string {
    return this.values.declare("gradient", "ram", this.adapter.bytes, "gradient", "train-step");
  }

  /** Two tiers: the unit's place in the one gradient buffer. Three: a short-lived buffer in vram, flushed to it. */
  #gradientPlace(layer: number): ValuePlace {
    if (this.#arena === "ram") return at(this.#hostGradient(), this.adapter.offsets[layer]!);
    const name = `gradient/${blockId(layer, this.layers)}`;
    return at(this.#value(name, Math.max(4, this.#adapterBytes(layer)), "gradient"));
  }

  #keeps(layer: number): boolean {
    return layer >= this.layers - this.#shape.keep;
  }

  #savedPlace(layer: number, mb: number): ValuePlace {
    const { bytes } = this.#saved[this.#inputs.model.blocks[layer]!.graph]!;
    return at(this.#value(`saved/${blockId(layer, this.layers)}/mb${mb}`, bytes, "activation"));
  }
}

function suffix(mode: HeadMode): string {
  return mode === "gradient" ? "" : ".loss";
}
