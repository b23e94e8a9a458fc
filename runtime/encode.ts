/**
 * A plan as the native engine reads it: one buffer, ids resolved to indices, nothing that only people or the verifier
 * need. `native/core/plan_decoder.cc` is the other side; it trusts none of this.
 *
 * Little-endian, without padding. `list<T>` is a u32 count and the items, `str` a u32 index into the string table,
 * `place` {buffer u32, offset u64}, `range` {buffer u32, offset u64, bytes u64}. Offsets and sizes are bytes.
 *
 *   magic u32 "LEMA", version u32
 *   strings     list<{length u32, UTF-8}>
 *   header      op_table str, threads u32, compute arena u8, ram bytes u64, vram bytes u64
 *   files       list<{id str, bytes u64}>
 *   tensors     list<{name str, dtype u8, file u32, offset u64, bytes u64, has_digest u8, [sha256 32 bytes]}>
 *   buffers     list<{id str, arena u8, offset u64, bytes u64, alignment u64}>
 *   constants   list<{place, length u64, bytes}>
 *   inputs      list<{name str, dtype u8, place, elements u64, ranged u8, low f64, high f64}>
 *   procedures  list<{id str, formals list<{name str, bytes u64, access u8}>, calls list<call>}>
 *     call      {op u32, operands list<operand>, attributes list<f64>, has_workspace u8, [formal u32, offset u64, bytes u64]}
 *     operand   {index u8, formal u32, offset u64, dtype u8, accumulate u8, rank u8, dims rank × u64}
 *   sinks       list<{id str, bytes u64}>
 *   programs    three, such as train-step, evaluate, checkpoint; empty ones where there are fewer; of each prologue, steady, epilogue: list<instruction>
 *     instruction {id str, kind u8, lane u8, waits list<{on u32, at u32}>, bytes u64, by kind:}
 *       read    segments list<{tensor u32, from u64, bytes u64, to place}>, staging range
 *       gather  tensor u32, row_bytes u64, table_rows u64, indices range, to place, staging range
 *       copy    from place, to place
 *       run     procedure u32, bind list<place> in the order of the formals
 *       write   sink u32, offset u64, from range
 *
 * Operands and attributes are numbered in the order of the op's declaration. A wait names the position of an
 * instruction in its own part, since a part begins when the one before it has ended.
 */
import { invariant } from "../schemas/diagnostic.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import { elements } from "../schemas/ops/define-op.ts";
import { ops } from "../schemas/ops/index.ts";
import type {
  ArenaName,
  Instruction,
  LaneName,
  Place,
  Plan,
  PlanCall,
  PlanProcedure,
  PlanProgram,
  ProgramName,
  Range,
} from "../schemas/plan.ts";
import type { RunRequest } from "./addon.ts";
import { ByteWriter } from "./byte-writer.ts";

const MAGIC = 0x414d454c;
const VERSION = 1;

/** Order fixes the numbers; the counterparts stand in native/core/plan.h and tensor.h. */
const dtypes: readonly DType[] = ["f32", "bf16", "f16", "f64", "i32"];
const arenas: readonly ArenaName[] = ["ram", "vram"];
const lanes: readonly LaneName[] = ["disk", "h2d", "compute", "d2h", "host"];
const kinds: readonly Instruction["kind"][] = ["read", "gather", "copy", "run", "write"];
const accesses: readonly PlanProcedure["formals"][number]["access"][] = [
  "read",
  "write",
  "update",
  "scratch",
];
/** Programs that the engine has room for. */
const PROGRAMS = 3;
const parts: readonly (keyof PlanProgram)[] = ["prologue", "steady", "epilogue"];

/** The part of a plan that the engine sees. */
export type EnginePlan = Pick<
  Plan,
  "op_table" | "tensors" | "buffers" | "constants" | "step_inputs" | "procedures" | "sinks"
> & {
  /** At most three; the engine knows them by their position. */
  readonly programs: Readonly<Partial<Record<ProgramName, PlanProgram>>>;
  readonly shape: Pick<Plan["shape"], "threads" | "compute_arena">;
  readonly budgets: {
    readonly ram: { readonly arena: number };
    readonly vram: { readonly arena: number } | null;
  };
  readonly inputs: { readonly files: readonly { readonly id: string; readonly bytes: number }[] };
};

/** Throws when the plan contradicts itself in a way that has no encoding; all else is checked by the engine. */
export function encodePlan(plan: EnginePlan): Uint8Array {
  return new Encoder(plan).encode();
}

/**
 * One run: program u8, part u8, sync u8, inputs list<{input u32, length u64, bytes}>,
 * sinks list<{sink u32, path (length u32, UTF-8), base u64}>.
 */
export function encodeRun(plan: EnginePlan, request: RunRequest): Uint8Array {
  const out = new ByteWriter();
  const input = positions(
    "step input",
    plan.step_inputs.map(({ name }) => name),
  );
  const sinkIndex = indexed("sink", plan.sinks);
  out.u8(Object.keys(plan.programs).indexOf(request.program));
  out.u8(parts.indexOf(request.part));
  out.u8(request.sync === true ? 1 : 0);
  out.list(request.inputs ?? [], ({ name, bytes }) => {
    out.u32(input(name));
    out.u64(bytes.byteLength);
    out.bytes(bytes);
  });
  out.list(request.sinks ?? [], ({ sink, path, base }) => {
    out.u32(sinkIndex(sink));
    out.text(path);
    out.u64(base);
  });
  return out.finish();
}

class Encoder {
  readonly #plan: EnginePlan;
  readonly #out = new ByteWriter();
  readonly #strings = new Map<string, number>();
  readonly #files: Index;
  readonly #tensors: Index;
  readonly #buffers: Index;
  readonly #procedures: Index;
  readonly #sinks: Index;

  constructor(plan: EnginePlan) {
    this.#plan = plan;
    this.#files = indexed("file", plan.inputs.files);
    this.#tensors = indexed(
      "tensor",
      plan.tensors.map(({ name }) => ({ id: name })),
    );
    this.#buffers = indexed("buffer", plan.buffers);
    this.#procedures = indexed("procedure", plan.procedures);
    this.#sinks = indexed("sink", plan.sinks);
  }

  encode(): Uint8Array {
    this.#header();
    this.#tables();
    this.#out.list(this.#plan.procedures, (procedure) => this.#procedure(procedure));
    this.#out.list(this.#plan.sinks, ({ id, bytes }) => {
      this.#string(id);
      this.#out.u64(bytes);
    });
    const programs = Object.values(this.#plan.programs);
    invariant(
      programs.length <= PROGRAMS,
      `${programs.length} programs are more than the engine's ${PROGRAMS}`,
    );
    for (let program = 0; program < PROGRAMS; program++) {
      for (const part of parts) this.#part(programs[program]?.[part] ?? []);
    }
    // Strings come first in the buffer and are known last.
    const front = new ByteWriter();
    front.u32(MAGIC);
    front.u32(VERSION);
    front.list([...this.#strings.keys()], (text) => front.text(text));
    front.bytes(this.#out.finish());
    return front.finish();
  }

  #header(): void {
    const { op_table, shape, budgets } = this.#plan;
    this.#string(op_table);
    this.#out.u32(shape.threads);
    this.#choice(arenas, shape.compute_arena);
    this.#out.u64(budgets.ram.arena);
    this.#out.u64(budgets.vram?.arena ?? 0);
  }

  #tables(): void {
    const out = this.#out;
    const plan = this.#plan;
    out.list(plan.inputs.files, ({ id, bytes }) => {
      this.#string(id);
      out.u64(bytes);
    });
    out.list(plan.tensors, (tensor) => {
      this.#string(tensor.name);
      this.#choice(dtypes, tensor.storage);
      out.u32(this.#files(tensor.file));
      out.u64(tensor.offset);
      out.u64(tensor.bytes);
      out.u8(tensor.digest === null ? 0 : 1);
      if (tensor.digest !== null) out.bytes(Buffer.from(tensor.digest.replace("sha256:", ""), "hex"));
    });
    out.list(plan.buffers, (buffer) => {
      this.#string(buffer.id);
      this.#choice(arenas, buffer.arena);
      out.u64(buffer.offset);
      out.u64(buffer.bytes);
      out.u64(buffer.alignment);
    });
    out.list(plan.constants, ({ at, dtype, values }) => {
      this.#place(at);
      const typed = dtype === "f32" ? Float32Array.from(values) : Int32Array.from(values);
      out.u64(typed.byteLength);
      out.bytes(new Uint8Array(typed.buffer));
    });
    out.list(plan.step_inputs, ({ name, dtype, shape, range, at }) => {
      this.#string(name);
      this.#choice(dtypes, dtype);
      this.#place(at);
      out.u64(elements(shape));
      out.u8(range === null ? 0 : 1);
      out.f64(range?.[0] ?? 0);
      out.f64(range?.[1] ?? 0);
    });
  }

  #procedure(procedure: PlanProcedure): void {
    this.#string(procedure.id);
    this.#out.list(procedure.formals, ({ name, bytes, access }) => {
      this.#string(name);
      this.#out.u64(bytes);
      this.#choice(accesses, access);
    });
    const formal = positions(
      `formal of ${procedure.id}`,
      procedure.formals.map(({ name }) => name),
    );
    this.#out.list(procedure.calls, (call) => this.#call(call, formal));
  }

  #call(call: PlanCall, formal: Index): void {
    const out = this.#out;
    const number = ops.findIndex(({ name }) => name === call.op);
    const op = ops[number];
    invariant(op, `the plan calls ${call.op}, which is not in the op table`);
    const operand = positions(`operand of ${op.name}`, Object.keys(op.operands));
    out.u32(number);
    out.list(Object.entries(call.operands), ([name, { formal: of, offset, dtype, accumulate, shape }]) => {
      out.u8(operand(name));
      out.u32(formal(of));
      out.u64(offset);
      this.#choice(dtypes, dtype);
      out.u8(accumulate === true ? 1 : 0);
      out.u8(shape.length);
      for (const dim of shape) out.u64(dim);
    });
    out.list(Object.keys(op.attributes), (name) => {
      const value = call.attributes[name];
      invariant(value !== undefined, `the plan calls ${op.name} without ${name}`);
      out.f64(typeof value === "number" ? value : value === "inf" ? Infinity : -Infinity);
    });
    out.u8(call.workspace === null ? 0 : 1);
    if (call.workspace !== null) {
      out.u32(formal("scratch"));
      out.u64(call.workspace.offset);
      out.u64(call.workspace.bytes);
    }
  }

  #part(instructions: readonly Instruction[]): void {
    const position = indexed("instruction", instructions);
    this.#out.list(instructions, (instruction) => {
      this.#string(instruction.id);
      this.#choice(kinds, instruction.kind);
      this.#choice(lanes, instruction.lane);
      this.#out.list(instruction.waits, ({ on, at }) => {
        this.#out.u32(position(on));
        this.#out.u32(at);
      });
      this.#out.u64(instruction.bytes);
      this.#work(instruction);
    });
  }

  #work(instruction: Instruction): void {
    const out = this.#out;
    switch (instruction.kind) {
      case "read":
        out.list(instruction.segments, ({ file, offset, bytes, tensor, from, to }) => {
          const index = this.#tensors(tensor);
          const known = this.#plan.tensors[index]!;
          invariant(
            known.file === file && known.offset + from === offset,
            `${instruction.id} reads ${tensor} from another place than where it stands`,
          );
          out.u32(index);
          out.u64(from);
          out.u64(bytes);
          this.#place(to);
        });
        this.#range(instruction.staging);
        return;
      case "gather": {
        const index = this.#tensors(instruction.tensor);
        const known = this.#plan.tensors[index]!;
        invariant(
          known.file === instruction.file && known.offset === instruction.offset,
          `${instruction.id} gathers ${instruction.tensor} from another place than where it stands`,
        );
        out.u32(index);
        out.u64(instruction.row_bytes);
        out.u64(instruction.table_rows);
        this.#range(instruction.indices);
        this.#place(instruction.to);
        this.#range(instruction.staging);
        return;
      }
      case "copy":
        this.#place(instruction.from);
        this.#place(instruction.to);
        return;
      case "run": {
        const index = this.#procedures(instruction.procedure);
        out.u32(index);
        out.list(this.#plan.procedures[index]!.formals, ({ name }) => {
          const place = instruction.bind[name];
          invariant(place, `${instruction.id} does not bind ${name}`);
          this.#place(place);
        });
        return;
      }
      case "write":
        out.u32(this.#sinks(instruction.sink));
        out.u64(instruction.offset);
        this.#range(instruction.from);
    }
  }

  #string(text: string): void {
    const known = this.#strings.get(text) ?? this.#strings.size;
    this.#strings.set(text, known);
    this.#out.u32(known);
  }

  #choice<Value>(values: readonly Value[], value: Value): void {
    this.#out.u8(values.indexOf(value));
  }

  #place({ buffer, offset }: Place): void {
    this.#out.u32(this.#buffers(buffer));
    this.#out.u64(offset);
  }

  #range(range: Range): void {
    this.#place(range);
    this.#out.u64(range.bytes);
  }
}

/** Position of an id; an id that does not exist, or exists twice, breaks the plan's own rules. */
type Index = (id: string) => number;

function indexed(what: string, items: readonly { readonly id: string }[]): Index {
  return positions(
    what,
    items.map(({ id }) => id),
  );
}

function positions(what: string, ids: readonly string[]): Index {
  const known = new Map(ids.map((id, position) => [id, position]));
  invariant(known.size === ids.length, `two of one name: ${what}`);
  return (id) => {
    const position = known.get(id);
    invariant(position !== undefined, `the plan names an unknown ${what}: ${id}`);
    return position;
  };
}
