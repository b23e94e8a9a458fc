/**
 * Generation with everything resident and no planner: the graphs of a model's prefill and decode as procedures, their
 * buffers one behind the other, and a run of the engine a step. What a planned generation must give, whatever its budget.
 */
import { readFileSync } from "node:fs";
import type { LogitsSource } from "../../chat/generate.ts";
import { encodeFloats } from "../../models/float-codec.ts";
import { type LlamaConfig, readLlamaConfig } from "../../models/llama.ts";
import { llamaBlock, llamaLastNorm, llamaTables } from "../../models/llama-graph.ts";
import type { LayerLora } from "../../models/lora.ts";
import { buildProcedure, layoutRegion, type ProcedureSource } from "../../planner/ir/procedure.ts";
import { type Backend, type Engine, openEngine } from "../../runtime/addon.ts";
import type { EnginePlan } from "../../runtime/encode.ts";
import { GraphBuilder } from "../../schemas/graph.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { Instruction, Place, PlanBuffer, PlanProcedure } from "../../schemas/plan.ts";
import type { ParityCase } from "./case.ts";

const ALIGNMENT = 64;

export interface GenerationOptions {
  /** Positions that the cache has room for. */
  readonly capacity: number;
  /** Positions of a prefill run. */
  readonly rows: number;
  readonly adapter: boolean;
  readonly backend: Backend;
  readonly threads: number;
}

type Phase = "prefill" | "decode";
/** Programs of the engine that stand for the two; what a program is called does not matter to it. */
const PROGRAMS = { prefill: "evaluate", decode: "train-step" } as const;

export class ResidentGeneration implements LogitsSource {
  readonly #engine: Engine;
  readonly #options: GenerationOptions;
  readonly #vocabulary: number;
  #length = 0;

  private constructor(engine: Engine, options: GenerationOptions, vocabulary: number) {
    this.#engine = engine;
    this.#options = options;
    this.#vocabulary = vocabulary;
  }

  static async open(
    parity: ParityCase,
    inputs: Inputs,
    options: GenerationOptions,
  ): Promise<ResidentGeneration> {
    const builder = new PlanBuilder(parity, inputs, options);
    const engine = openEngine({ backend: options.backend, serialLanes: false, diskThrottle: null });
    await engine.load(builder.plan(), new Map());
    for (const [place, bytes] of builder.contents) engine.writeTensor(place, bytes);
    return new ResidentGeneration(engine, options, inputs.model.vocabulary);
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  /** Forgets all but the first `length` positions. */
  rewind(length: number): void {
    this.#length = length;
  }

  /** Logits [V] of the last of some next tokens, which are computed in runs of `rows`, or one by one. */
  async feed(
    tokens: readonly number[],
    phase: Phase = tokens.length > 1 ? "prefill" : "decode",
  ): Promise<Float32Array> {
    const rows = phase === "decode" ? 1 : this.#options.rows;
    for (let start = 0; start < tokens.length; start += rows) {
      const fed = tokens.slice(start, start + rows);
      const positions = fed.map((_, index) => this.#length + index);
      this.#write("tokens", fed);
      this.#write("positions", positions);
      this.#write("kv_length", [this.#length]);
      this.#write("new_tokens", [fed.length]);
      await this.#engine.run({ program: PROGRAMS[phase], part: "steady" });
      this.#length += fed.length;
    }
    const bytes = this.#engine.readTensor({ buffer: "logits", offset: 0 }, 4 * this.#vocabulary);
    return new Float32Array(new Uint8Array(bytes).buffer);
  }

  close(): void {
    this.#engine.close();
  }

  #write(buffer: string, values: readonly number[]): void {
    this.#engine.writeTensor({ buffer, offset: 0 }, new Uint8Array(Int32Array.from(values).buffer));
  }
}

class PlanBuilder {
  readonly contents: [Place, Uint8Array][] = [];
  readonly #parity: ParityCase;
  readonly #inputs: Inputs;
  readonly #options: GenerationOptions;
  readonly #config: LlamaConfig;
  readonly #buffers: PlanBuffer[] = [];
  readonly #procedures: PlanProcedure[] = [];
  #end = 0;

  constructor(parity: ParityCase, inputs: Inputs, options: GenerationOptions) {
    this.#parity = parity;
    this.#inputs = inputs;
    this.#options = options;
    this.#config = readLlamaConfig(inputs.model.config as Parameters<typeof readLlamaConfig>[0]).config!;
  }

  plan(): EnginePlan {
    const none = { prologue: [], steady: [], epilogue: [] };
    this.#weights();
    // First the one that takes more of the buffers that both use.
    const prefill = this.#step("prefill", this.#options.rows);
    const programs = {
      [PROGRAMS.decode]: { ...none, steady: this.#step("decode", 1) },
      [PROGRAMS.prefill]: { ...none, steady: prefill },
      checkpoint: none,
    };
    return {
      op_table: opTableHash(),
      shape: { threads: this.#options.threads, compute_arena: "ram" },
      budgets: { ram: { arena: this.#end }, vram: null },
      inputs: { files: [] },
      tensors: [],
      buffers: this.#buffers,
      constants: [],
      step_inputs: [],
      procedures: this.#procedures,
      sinks: [],
      programs,
    };
  }

  #buffer(id: string, bytes: number): Place {
    if (!this.#buffers.some((buffer) => buffer.id === id)) {
      const holds = "activation";
      this.#buffers.push({
        id,
        arena: "ram",
        offset: this.#end,
        bytes,
        alignment: ALIGNMENT,
        holds,
        lifetime: null,
      });
      this.#end = Math.ceil((this.#end + bytes) / ALIGNMENT) * ALIGNMENT;
    }
    return { buffer: id, offset: 0 };
  }

  #weights(): void {
    const { model } = this.#inputs;
    const inverse = Float32Array.from(model.constants.inverse_frequencies!);
    this.contents.push([
      this.#buffer("inverse_frequencies", inverse.byteLength),
      encodeFloats(inverse, "f32"),
    ]);
    for (const { layer, weights, parameters } of model.blocks) {
      this.#place(`weights/${layer}`, weights);
      if (!this.#options.adapter) continue;
      const region = this.#region(parameters.map(({ local, shape }) => [local, tensorBytes(shape, "f32")]));
      const { buffer } = this.#buffer(`adapter/${layer}`, region.bytes);
      for (const { local, name } of parameters) {
        const values = encodeFloats(this.#parity.adapter.tensors.get(name)!, "f32");
        this.contents.push([{ buffer, offset: region.offsets.get(local)! }, values]);
      }
    }
    this.#place("weights/norm", model.norm.weights);
    this.#place("weights/head", { head: model.head });
    this.#place("weights/table", { table: model.embedding });
  }

  /** A buffer with some tensors of the checkpoint. */
  #place(id: string, weights: Readonly<Record<string, string>>): void {
    const region = this.#weightRegion(weights);
    const { buffer } = this.#buffer(id, region.bytes);
    for (const [local, name] of Object.entries(weights)) {
      const { file, offset, bytes } = this.#tensor(name);
      const { path } = this.#inputs.model.files.find((one) => one.id === file)!;
      const content = new Uint8Array(readFileSync(path).subarray(offset, offset + bytes));
      this.contents.push([{ buffer, offset: region.offsets.get(local)! }, content]);
    }
  }

  #weightRegion(weights: Readonly<Record<string, string>>) {
    return this.#region(Object.entries(weights).map(([local, name]) => [local, this.#tensor(name).bytes]));
  }

  #region(sizes: readonly (readonly [string, number])[]) {
    return layoutRegion(
      sizes.map(([name, bytes]) => ({ name, bytes })),
      ALIGNMENT,
    );
  }

  #tensor(name: string) {
    return this.#inputs.model.tensors.find((tensor) => tensor.name === name)!;
  }

  /** The instructions of a step of `rows` positions. */
  #step(phase: Phase, rows: number): Instruction[] {
    const { model, numerics } = this.#inputs;
    const common = { config: this.#config, sequenceLength: rows, numerics };
    const storageOf = (weights: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(weights).map(([local, name]) => [local, this.#tensor(name).storage]));
    const loraOf = (layer: number): LayerLora =>
      this.#options.adapter ? this.#parity.adapter.layers[layer]! : new Map();
    const table = { table: model.embedding };
    const head = { head: model.head };
    const x = (block: number) => `${phase}/x/${block}`;
    const run = (
      id: string,
      source: Omit<ProcedureSource, "id" | "batch" | "threads">,
      names: Readonly<Record<string, string>>,
    ) => this.#run(`${phase}/${id}`, source, names);
    return [
      run("tables", llamaTables(this.#config, rows), {
        cosine: `${phase}/cosine`,
        sine: `${phase}/sine`,
      }),
      run(
        "embed",
        { ...this.#embedding(rows), weights: this.#weightRegion(table) },
        { weights: "weights/table", y: x(0) },
      ),
      ...model.blocks.map(({ layer, weights, parameters }, block) => {
        const cache = this.#options.capacity;
        const graph = llamaBlock({ ...common, storage: storageOf(weights), lora: loraOf(layer), cache });
        const adapted = this.#region(
          parameters.map(({ local, shape }) => [local, tensorBytes(shape, "f32")] as const),
        );
        return run(
          `block/${layer}`,
          { ...graph, weights: this.#weightRegion(weights), adapter: adapted },
          {
            weights: `weights/${layer}`,
            adapter: `adapter/${layer}`,
            x: x(block),
            y: x(block + 1),
            cosine: `${phase}/cosine`,
            sine: `${phase}/sine`,
            k_cache: `k_cache/${layer}`,
            v_cache: `v_cache/${layer}`,
          },
        );
      }),
      run(
        "norm",
        {
          ...llamaLastNorm({ ...common, storage: storageOf(model.norm.weights) }),
          weights: this.#weightRegion(model.norm.weights),
        },
        { weights: "weights/norm", x: x(model.blocks.length), y: "last" },
      ),
      run(
        "head",
        { ...this.#head(), weights: this.#weightRegion(head) },
        { weights: "weights/head", x: "last", y: "logits" },
      ),
    ];
  }

  /** One instruction with its procedure; formals are bound to buffers of `names`, or to those called like them. */
  #run(
    id: string,
    source: Omit<ProcedureSource, "id" | "batch" | "threads">,
    names: Readonly<Record<string, string>>,
  ): Instruction {
    const procedure = buildProcedure({ id, batch: 1, threads: this.#options.threads, ...source });
    this.#procedures.push(procedure);
    const bind = Object.fromEntries(
      procedure.formals.map(({ name, bytes }) => [
        name,
        this.#buffer(name === "scratch" ? `${id}/scratch` : (names[name] ?? name), bytes),
      ]),
    );
    const nothing = { waits: [], reads: [], writes: [], bytes: 0, unit: null };
    return { kind: "run", lane: "compute", id, procedure: id, bind, ...nothing };
  }

  #embedding(rows: number) {
    const g = new GraphBuilder();
    const { shape, storage } = this.#tensor(this.#inputs.model.embedding);
    g.value("tokens", ["B", rows], "i32", { origin: { kind: "input" } });
    g.value("table", shape, storage, { origin: { kind: "weight" } });
    g.value("y", ["B", rows, this.#inputs.model.hidden], "f32", { origin: { kind: "input" } });
    g.call("embedding", { tokens: "tokens", table: "table", x: "y" });
    return g.finish();
  }

  #head() {
    const g = new GraphBuilder();
    const { model, numerics } = this.#inputs;
    const { shape, storage } = this.#tensor(model.head);
    g.value("x", ["B", 1, model.hidden], numerics.activation, { origin: { kind: "input" } });
    g.value("head", shape, storage, { origin: { kind: "weight" } });
    g.value("y", ["B", 1, model.vocabulary], "f32", { origin: { kind: "input" } });
    const { row_tile, column_tile, f16_factors } = numerics;
    g.call("linear", { x: "x", w: "head", y: "y" }, { alpha: 1, row_tile, column_tile, f16_factors });
    return g.finish();
  }
}
