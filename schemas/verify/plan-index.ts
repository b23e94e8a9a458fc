/**
 * A parsed plan with its ids resolved. Lookups throw on unknown ids: the structure check runs first and lets nothing
 * through that could make them.
 */
import { invariant } from "../diagnostic.ts";
import { type DType, tensorBytes } from "../ops/define-op.ts";
import {
  type AnyPlan,
  type ArenaName,
  cycleOf,
  type GenerationPlan,
  type Instruction,
  type Place,
  type Plan,
  type PlanBuffer,
  type PlanProcedure,
  type PlanTensor,
  type PlanUnit,
  type ProgramName,
  programsOf,
} from "../plan.ts";
import { type Effects, effectsOf } from "./effects.ts";
import type { Interval } from "./intervals.ts";
import { ParameterMap } from "./parameter-map.ts";
import { type ProcedureSummary, summarizeProcedure } from "./procedure-summary.ts";

export const partNames = ["prologue", "steady", "epilogue"] as const;
export type PartName = (typeof partNames)[number];

/** An instruction and where it stands. */
export interface Step {
  readonly program: ProgramName;
  readonly part: PartName;
  /** Serial position in the program: prologue, steady and epilogue one after the other. Lifetimes count in it. */
  readonly position: number;
  readonly instruction: Instruction;
  /** Key path in plan.json. */
  readonly path: string;
}

/** Bytes of an arena. */
export interface ArenaRange extends Interval {
  readonly arena: ArenaName;
}

/** What the runtime writes and no instruction may. */
export interface HostInput {
  readonly name: string;
  readonly at: Place;
  readonly bytes: number;
  readonly dtype: DType;
}

export class PlanIndex {
  readonly plan: AnyPlan;
  /** The plan as what it is; null as what it is not. */
  readonly training: Plan | null;
  readonly generation: GenerationPlan | null;
  readonly programNames: readonly ProgramName[];
  /** The program that a run repeats. */
  readonly cycle: ProgramName;
  /** All programs in serial order, one after the other. */
  readonly steps: readonly Step[];
  readonly constants: readonly HostInput[];
  readonly stepInputs: readonly HostInput[];
  readonly #buffers: ReadonlyMap<string, PlanBuffer>;
  readonly #units: ReadonlyMap<string, PlanUnit>;
  readonly #tensors: ReadonlyMap<string, PlanTensor>;
  readonly #procedures: ReadonlyMap<string, PlanProcedure>;
  readonly #programs: ReadonlyMap<ProgramName, readonly Step[]>;
  #owners: ParameterMap | undefined;
  readonly #summaries = new Map<PlanProcedure, ProcedureSummary>();
  readonly #stepInputs: ReadonlySet<string>;
  readonly #effects = new Map<Instruction, Effects>();
  readonly #parts = new Map<string, readonly Step[]>();
  readonly #born: ReadonlyMap<ProgramName, ReadonlyMap<number, readonly PlanBuffer[]>>;

  constructor(plan: AnyPlan) {
    this.plan = plan;
    this.training = "purpose" in plan ? null : plan;
    this.generation = "purpose" in plan ? plan : null;
    const programNames = Object.keys(plan.programs) as ProgramName[];
    this.programNames = programNames;
    this.cycle = cycleOf(plan);
    this.#buffers = new Map(plan.buffers.map((buffer) => [buffer.id, buffer]));
    this.#units = new Map(plan.units.map((unit) => [unit.id, unit]));
    this.#tensors = new Map(plan.tensors.map((tensor) => [tensor.name, tensor]));
    this.#procedures = new Map(plan.procedures.map((procedure) => [procedure.id, procedure]));
    this.#programs = new Map(programNames.map((program) => [program, stepsOf(plan, program)]));
    this.steps = programNames.flatMap((name) => this.program(name));
    this.constants = plan.constants.map(({ at, dtype, values }, i) => {
      return { name: `constant ${i}`, at, bytes: tensorBytes([values.length], dtype), dtype };
    });
    this.stepInputs = plan.step_inputs.map(({ name, at, shape, dtype }) => {
      return { name, at, bytes: tensorBytes(shape, dtype), dtype };
    });
    this.#stepInputs = new Set(plan.step_inputs.map(({ name }) => name));
    for (const program of programNames) {
      for (const part of partNames) {
        this.#parts.set(
          `${program}.${part}`,
          this.program(program).filter((step) => step.part === part),
        );
      }
    }
    this.#born = new Map(programNames.map((program) => [program, buffersByBirth(plan, program)]));
  }

  buffer(id: string): PlanBuffer {
    return known(this.#buffers.get(id), "buffer", id);
  }

  unit(id: string): PlanUnit {
    return known(this.#units.get(id), "unit", id);
  }

  tensor(name: string): PlanTensor {
    return known(this.#tensors.get(name), "tensor", name);
  }

  procedure(id: string): PlanProcedure {
    return known(this.#procedures.get(id), "procedure", id);
  }

  /** The whole program in serial order. */
  program(name: ProgramName): readonly Step[] {
    return known(this.#programs.get(name), "program", name);
  }

  part(name: ProgramName, part: PartName): readonly Step[] {
    return known(this.#parts.get(`${name}.${part}`), "part", part);
  }

  /** Buffers whose lifetime begins at a serial position. */
  buffersBornAt(program: ProgramName, position: number): readonly PlanBuffer[] {
    return this.#born.get(program)?.get(position) ?? [];
  }

  isStepInput(name: string): boolean {
    return this.#stepInputs.has(name);
  }

  /** Whose bytes are an adapter's. */
  get owners(): ParameterMap {
    this.#owners ??= new ParameterMap(this.plan);
    return this.#owners;
  }

  summary(procedure: PlanProcedure): ProcedureSummary {
    const summary = this.#summaries.get(procedure) ?? summarizeProcedure(procedure);
    this.#summaries.set(procedure, summary);
    return summary;
  }

  /** What an instruction really reads and writes; several checks ask. */
  effects(instruction: Instruction): Effects {
    const effects = this.#effects.get(instruction) ?? effectsOf(this, instruction);
    this.#effects.set(instruction, effects);
    return effects;
  }

  /** Arena bytes of `bytes` bytes from a place on. */
  locate(place: Place, bytes: number): ArenaRange {
    const { arena, offset } = this.buffer(place.buffer);
    const start = offset + place.offset;
    return { arena, start, end: start + bytes };
  }

  whole(buffer: PlanBuffer): ArenaRange {
    return { arena: buffer.arena, start: buffer.offset, end: buffer.offset + buffer.bytes };
  }
}

function stepsOf(plan: AnyPlan, program: ProgramName): Step[] {
  const steps: Step[] = [];
  for (const part of partNames) {
    programsOf(plan)[program]![part].forEach((instruction, i) => {
      const path = `programs.${program}.${part}[${i}]`;
      steps.push({ program, part, position: steps.length, instruction, path });
    });
  }
  return steps;
}

function buffersByBirth(plan: AnyPlan, program: ProgramName): ReadonlyMap<number, readonly PlanBuffer[]> {
  const born = new Map<number, PlanBuffer[]>();
  for (const buffer of plan.buffers) {
    if (buffer.lifetime?.program !== program) continue;
    const twins = born.get(buffer.lifetime.start);
    if (twins) twins.push(buffer);
    else born.set(buffer.lifetime.start, [buffer]);
  }
  return born;
}

function known<T>(value: T | undefined, kind: string, id: string): T {
  if (value === undefined) invariant(false, `the verifier let an unknown ${kind} through: ${id}`);
  return value;
}
