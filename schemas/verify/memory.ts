/**
 * An abstract memory: for every byte of the arenas who wrote it, through which buffer, and which byte of which weight
 * tensor it is, if any. Instructions are interpreted one by one in serial order.
 *
 * Invariants: what an instruction reads is reported before its writes take effect; a kernel's scratch, staging and a
 * buffer whose lifetime begins hold nothing; a copy hands on what its source holds.
 */
import type { DType } from "../ops/define-op.ts";
import type { ArenaName, Instruction, PlanUnit, ProgramName } from "../plan.ts";
import { gatheredBytes } from "./effects.ts";
import { type Interval, IntervalMap, type Piece } from "./intervals.ts";
import { f32Bytes, parameterPlaces } from "./parameter-map.ts";
import type { ArenaRange, PlanIndex, Step } from "./plan-index.ts";

/** Writer of what is in memory before the first instruction: the runtime. */
export const host = -1;

export interface Content {
  /** The buffer through which it was written. */
  readonly buffer: string;
  /** Ordinal of the interpreted instruction that wrote it, or `host`. */
  readonly writer: number;
  /** Ordinal of the instruction that computed it: the writer itself, or whose work a copy handed on. */
  readonly maker: number;
  readonly dtype: DType;
  /** All arena bytes that were written together with it: one operand, one row block, one copy of such. */
  readonly value: Interval;
  /** The weight that it is: byte `p` of the arena is byte `p + delta` of the tensor. */
  readonly weight: { readonly tensor: string; readonly delta: number } | null;
  /** The step input that it is, likewise. */
  readonly input: { readonly name: string; readonly delta: number } | null;
}

/** Bytes that an instruction reads: one writer, one weight. */
export interface Use extends ArenaRange {
  readonly step: Step;
  /** Ordinal of the reading instruction. */
  readonly reader: number;
  readonly buffer: string;
  readonly content: Content | undefined;
  /** What the reader takes it for; null when it only moves bytes. */
  readonly dtype: DType | null;
}

/** Both take arena bytes [start, end): a step has ten thousands of them, too many for an object each. */
type Reader = (buffer: string, arena: ArenaName, start: number, end: number, dtype: DType | null) => void;
type Writer = (
  buffer: string,
  arena: ArenaName,
  start: number,
  end: number,
  dtype: DType,
  value: Interval,
) => void;

export class Memory {
  readonly #index: PlanIndex;
  readonly #arenas: Readonly<Record<ArenaName, IntervalMap<Content>>> = {
    ram: new IntervalMap(),
    vram: new IntervalMap(),
  };
  #executed = 0;

  /** Holds what the runtime writes before the first instruction: parameters, moments, constants and step inputs. */
  constructor(index: PlanIndex) {
    this.#index = index;
    for (const { range, buffer, dtype, name } of hostState(index)) {
      const input = name === null ? null : { name, delta: -range.start };
      this.#define(range, { buffer, writer: host, maker: host, dtype, value: range, weight: null, input });
    }
  }

  /** How many instructions were interpreted; the ordinal of the next. */
  get executed(): number {
    return this.#executed;
  }

  /** Interprets one instruction; `onUse` sees what it reads, where somebody asks. Returns its ordinal. */
  execute(step: Step, onUse: ((use: Use) => void) | null): number {
    const writer = this.#executed++;
    this.#beginLifetimes(step.program, step.position);
    const read: Reader | null = onUse && readerFor(step, writer, this.#arenas, onUse);
    const write: Writer = (buffer, arena, start, end, dtype, value) => {
      const content = { buffer, writer, maker: writer, dtype, value, weight: null, input: null };
      this.#arenas[arena].assign(start, end, content);
    };
    const { instruction } = step;
    switch (instruction.kind) {
      case "read":
        for (const { offset, bytes, tensor: name, to } of instruction.segments) {
          const range = this.#index.locate(to, bytes);
          const tensor = this.#index.tensor(name);
          const weight = { tensor: name, delta: offset - tensor.offset - range.start };
          this.#define(range, {
            buffer: to.buffer,
            writer,
            maker: writer,
            dtype: tensor.storage,
            value: range,
            weight,
            input: null,
          });
        }
        this.#clear(this.#index.locate(instruction.staging, instruction.staging.bytes));
        break;
      case "gather": {
        const { indices, to, staging } = instruction;
        const taken = this.#index.locate(indices, indices.bytes);
        read?.(indices.buffer, taken.arena, taken.start, taken.end, "i32");
        const rows = this.#index.locate(to, gatheredBytes(instruction));
        const { storage } = this.#index.tensor(instruction.tensor);
        write(to.buffer, rows.arena, rows.start, rows.end, storage, rows);
        this.#clear(this.#index.locate(staging, staging.bytes));
        break;
      }
      case "copy":
        this.#copy(instruction, writer, read);
        break;
      case "write": {
        const { from, staging } = instruction;
        const range = this.#index.locate(from, from.bytes);
        read?.(from.buffer, range.arena, range.start, range.end, null);
        this.#clear(this.#index.locate(staging, staging.bytes));
        break;
      }
      case "run":
        this.#run(instruction, read, write);
        break;
    }
    return writer;
  }

  /** What is in a range, cut where it changes. */
  contents({ arena, start, end }: ArenaRange): (Interval & { value: Content | undefined })[] {
    return this.#arenas[arena].pieces(start, end);
  }

  /** The same without a list of it. */
  eachContent({ arena, start, end }: ArenaRange, see: (content: Content | undefined) => void): void {
    this.#arenas[arena].visit(start, end, (_start, _end, content) => see(content));
  }

  /** The same where one value has all of the range, which is most often so. */
  onlyContent({ arena, start, end }: ArenaRange): Content | undefined {
    return this.#arenas[arena].only(start, end);
  }

  /** All that is in memory now. */
  moment(): Moment {
    return { ram: this.#arenas.ram.all(), vram: this.#arenas.vram.all() };
  }

  /** Between programs only buffers without a lifetime keep what they hold. */
  endProgram(): void {
    for (const arena of Object.values(this.#arenas)) {
      arena.retain(({ buffer }) => this.#index.buffer(buffer).lifetime === null);
    }
  }

  #run(instruction: Extract<Instruction, { kind: "run" }>, read: Reader | null, write: Writer): void {
    const { shared, scratch } = this.#index.summary(this.#index.procedure(instruction.procedure));
    for (const { name, exposed } of read ? shared : []) {
      if (exposed.length === 0) continue;
      const place = instruction.bind[name]!;
      const { arena, offset } = this.#index.buffer(place.buffer);
      const base = offset + place.offset;
      for (let i = 0; i < exposed.length; i++) {
        const { start, end, expects } = exposed[i]!;
        read!(place.buffer, arena, base + start, base + end, expects);
      }
    }
    for (const { name, written } of shared) {
      if (written.length === 0) continue;
      const place = instruction.bind[name]!;
      const { arena, offset } = this.#index.buffer(place.buffer);
      const base = offset + place.offset;
      for (let i = 0; i < written.length; i++) {
        const { start, end, leaves, value } = written[i]!;
        if (leaves === null || value === null) {
          this.#arenas[arena].assign(base + start, base + end, undefined);
        } else {
          const whole = { start: base + value.start, end: base + value.end };
          write(place.buffer, arena, base + start, base + end, leaves, whole);
        }
      }
    }
    for (const { name, bytes } of scratch) this.#clear(this.#index.locate(instruction.bind[name]!, bytes));
  }

  /** A copy of weights takes the unit's parts; the padding between them means nothing on either side. */
  #copy(instruction: Extract<Instruction, { kind: "copy" }>, writer: number, read: Reader | null): void {
    const { from, to, bytes, unit } = instruction;
    const source = this.#index.locate(from, bytes);
    const target = this.#index.locate(to, bytes);
    const shift = target.start - source.start;
    const needed =
      unit === null
        ? [source]
        : partsWithin(this.#index.unit(unit), to.offset, bytes, source.start - to.offset);
    const carried: { range: ArenaRange; content: Content }[] = [];
    for (const { start, end } of needed) {
      read?.(from.buffer, source.arena, start, end, null);
      for (const { start: first, end: last, value } of this.contents({ ...source, start, end })) {
        if (!value) continue;
        const weight = value.weight && { ...value.weight, delta: value.weight.delta - shift };
        const clipped = {
          start: Math.max(value.value.start + shift, target.start),
          end: Math.min(value.value.end + shift, target.end),
        };
        const input = value.input && { ...value.input, delta: value.input.delta - shift };
        const range = { ...target, start: first + shift, end: last + shift };
        carried.push({
          range,
          content: { ...value, buffer: to.buffer, writer, value: clipped, weight, input },
        });
      }
    }
    this.#clear(target);
    for (const { range, content } of carried) this.#define(range, content);
  }

  #beginLifetimes(program: ProgramName, position: number): void {
    for (const buffer of this.#index.buffersBornAt(program, position)) this.#clear(this.#index.whole(buffer));
  }

  #define({ arena, start, end }: ArenaRange, content: Content): void {
    this.#arenas[arena].assign(start, end, content);
  }

  #clear({ arena, start, end }: ArenaRange): void {
    this.#arenas[arena].assign(start, end, undefined);
  }
}

/** Shows what an instruction reads, piece by piece; one callback serves all that it reads. */
function readerFor(
  step: Step,
  reader: number,
  arenas: Readonly<Record<ArenaName, IntervalMap<Content>>>,
  onUse: (use: Use) => void,
): Reader {
  let buffer = "";
  let arena: ArenaName = "ram";
  let dtype: DType | null = null;
  const see = (start: number, end: number, content: Content | undefined) =>
    onUse({ step, reader, buffer, arena, start, end, content, dtype });
  return (of, within, start, end, as) => {
    buffer = of;
    arena = within;
    dtype = as;
    arenas[within].visit(start, end, see);
  };
}

/** What the arenas hold at some moment. */
export type Moment = Readonly<Record<ArenaName, readonly Piece<Content>[]>>;

/**
 * Whether two moments hold the same but for the numbers of the instructions that made it: whoever made two things in
 * one moment made both in the other. What an instruction finds, and so what it leaves, is then the same as well.
 */
export function sameMoment(a: Moment, b: Moment): boolean {
  const [there, back] = [new Map([[host, host]]), new Map([[host, host]])];
  const sameMaker = (one: number, other: number) => {
    if (!there.has(one) && !back.has(other)) {
      there.set(one, other);
      back.set(other, one);
    }
    return there.get(one) === other && back.get(other) === one;
  };
  return (["ram", "vram"] as const).every(
    (arena) =>
      a[arena].length === b[arena].length &&
      a[arena].every((piece, i) => {
        const other = b[arena][i]!;
        const [one, two] = [piece.value, other.value];
        return (
          sameInterval(piece, other) &&
          one.buffer === two.buffer &&
          one.dtype === two.dtype &&
          sameInterval(one.value, two.value) &&
          one.weight?.tensor === two.weight?.tensor &&
          one.weight?.delta === two.weight?.delta &&
          one.input?.name === two.input?.name &&
          one.input?.delta === two.input?.delta &&
          sameMaker(one.writer, two.writer) &&
          sameMaker(one.maker, two.maker)
        );
      }),
  );
}

function sameInterval(a: Interval, b: Interval): boolean {
  return a.start === b.start && a.end === b.end;
}

/** The unit's parts that a copy of slot bytes [offset, offset + bytes) takes; `base` is where the slot begins. */
function partsWithin(unit: PlanUnit, offset: number, bytes: number, base: number): Interval[] {
  return unit.parts
    .map((part) => ({
      start: Math.max(part.at, offset),
      end: Math.min(part.at + part.bytes, offset + bytes),
    }))
    .filter(({ start, end }) => start < end)
    .map(({ start, end }) => ({ start: base + start, end: base + end }));
}

interface HostRange {
  readonly range: ArenaRange;
  readonly buffer: string;
  readonly dtype: DType;
  /** Name of the step input that it is. */
  readonly name: string | null;
}

/** What the runtime writes: adapter parameters with their moments, constants, and the inputs of each step. */
function hostState(index: PlanIndex): HostRange[] {
  const { parameters } = index.plan;
  return [
    ...parameters.flatMap((parameter) =>
      parameterPlaces(parameter)
        .filter(([key]) => key !== "gradient")
        .map(([, at]) => ({ at, bytes: f32Bytes(parameter.shape), dtype: "f32" as const, name: null })),
    ),
    ...index.constants.map((constant) => ({ ...constant, name: null })),
    ...index.stepInputs,
  ].map(({ at, bytes, dtype, name }) => ({ range: index.locate(at, bytes), buffer: at.buffer, dtype, name }));
}
