/**
 * What memory holds, moment by moment: all programs are interpreted in serial order, each steady part twice, the
 * program that a run repeats again after every other, because a run may call them in any such order. What a program
 * would find as it did before, and is known to leave as it was, is not interpreted again.
 *
 * A byte is read only if it was written, through the same buffer, by somebody else's work that still stands; a run
 * finds exactly its unit's weights; and every steady part starts and ends with the residents that the plan names.
 */

import { tensorBytes } from "../ops/define-op.ts";
import type { PlanBuffer, PlanUnit, ProgramName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { Memory, type Moment, sameMoment, type Use } from "./memory.ts";
import { importFaults, weightFaults } from "./operands.ts";
import type { ParameterMap } from "./parameter-map.ts";
import type { PartName, PlanIndex, Step } from "./plan-index.ts";
import { weightsFormal } from "./procedure-summary.ts";

type Code =
  | "verify.undefined-read"
  | "verify.dtype"
  | "verify.contents"
  | "verify.residency"
  | "verify.state";

export const checkContents = defineCheck({
  name: "contents",
  proves: "Every byte read holds what its reader expects, and the steady parts close.",
  codes: ["verify.undefined-read", "verify.dtype", "verify.contents", "verify.residency", "verify.state"],
  run(index, report) {
    for (const { path, fault } of weightFaults(index)) report("verify.contents", path, fault);
    const interpreter = new Interpreter(index, report);
    const { cycle } = index;
    interpreter.part(cycle, "prologue");
    interpreter.steady(cycle);
    interpreter.steady(cycle);
    for (const other of index.programNames) {
      if (other === cycle) continue;
      interpreter.switchProgram();
      interpreter.part(other, "prologue");
      interpreter.steady(other);
      interpreter.steady(other);
      interpreter.part(other, "epilogue");
      interpreter.switchProgram();
      interpreter.steady(cycle);
    }
    interpreter.part(cycle, "epilogue");
  },
});

class Interpreter {
  readonly #index: PlanIndex;
  readonly #report: Report<Code>;
  readonly #memory: Memory;
  readonly #owners: ParameterMap;
  /** Per program, a moment from which its steady part was interpreted, and which it left as it was. */
  readonly #settled = new Map<ProgramName, Moment>();
  /** Interpreting a part again finds the same faults again; each is told once. */
  readonly #told = new Set<string>();

  constructor(index: PlanIndex, report: Report<Code>) {
    this.#index = index;
    this.#report = report;
    this.#memory = new Memory(index);
    this.#owners = index.owners;
  }

  part(program: ProgramName, part: PartName): void {
    for (const step of this.#index.part(program, part)) {
      for (const fault of importFaults(this.#index, this.#memory, this.#owners, step)) {
        this.#tell("verify.contents", step.path, fault);
      }
      this.#unitIsThere(step);
      this.#evictionIsTrue(step);
      this.#memory.execute(step, (use) => this.#judge(use));
    }
  }

  /** From a moment that the steady part is known to find and to leave it would find and leave the same again. */
  steady(program: ProgramName): void {
    this.#memory.endProgram();
    const before = this.#memory.moment();
    const settled = this.#settled.get(program);
    if (settled && sameMoment(settled, before)) return;
    this.#residents(`before the steady part of ${program}`);
    const first = this.#memory.executed;
    this.part(program, "steady");
    this.#residents(`after the steady part of ${program}`);
    if (program !== "checkpoint") this.#outputs(program, first);
    this.#memory.endProgram();
    if (sameMoment(before, this.#memory.moment())) this.#settled.set(program, before);
  }

  /** Another program goes on with what outlives this one. */
  switchProgram(): void {
    this.#memory.endProgram();
  }

  #judge(use: Use): void {
    this.#parameterIsRight(use);
    const { step, buffer, content, dtype } = use;
    const { instruction, path } = step;
    if (!content) {
      this.#tell("verify.undefined-read", path, `${readText(use)}, which nobody wrote`);
    } else if (content.buffer !== buffer) {
      this.#tell("verify.undefined-read", path, `${readText(use)}, which holds ${content.buffer}`);
    } else if (dtype !== null && dtype !== content.dtype) {
      this.#tell("verify.dtype", path, `${readText(use)} as ${dtype}, which holds ${content.dtype}`);
    } else if (content.weight && !bindsWeightsAt(step, buffer)) {
      this.#tell(
        "verify.contents",
        path,
        `${instruction.id} reads ${content.weight.tensor} without naming its unit`,
      );
    }
  }

  /** A unit reads its own parameters, and a replica of one only while it equals the parameter. */
  #parameterIsRight({ step, buffer, start, end, content }: Use): void {
    if (!this.#owners.knows(buffer)) return;
    const { instruction, path } = step;
    const base = this.#index.buffer(buffer).offset;
    for (const found of this.#owners.within(buffer, start - base, end - base)) {
      if (found.key !== "value") continue;
      const { unit, name } = found.parameter;
      if (instruction.kind === "run" && instruction.unit !== null && instruction.unit !== unit) {
        this.#tell("verify.contents", path, `${instruction.id} reads ${name} of ${unit}`);
      }
      if (!found.replica || !content) continue;
      const own = this.#index.locate(found.parameter.value, found.end - found.start);
      const shift = own.start - base - found.start;
      const range = {
        arena: own.arena,
        start: Math.max(own.start, start + shift),
        end: Math.min(own.end, end + shift),
      };
      let current = true;
      this.#memory.eachContent(range, (value) => {
        current &&= value?.maker === content.maker;
      });
      if (!current) {
        this.#tell(
          "verify.contents",
          path,
          `${instruction.id} reads ${name} in ${buffer}, which is out of date`,
        );
      }
    }
  }

  /** A run, and a copy of weights, finds its unit's parts at the place that it names. */
  #unitIsThere({ instruction, path }: Step): void {
    if (instruction.kind !== "run" && instruction.kind !== "copy") return;
    if (instruction.unit === null) return;
    const unit = this.#index.unit(instruction.unit);
    if (instruction.kind === "run") {
      const place = instruction.bind[weightsFormal]!;
      const missing = this.#missing(this.#index.buffer(place.buffer), place.offset, unit, 0, unit.bytes);
      if (missing)
        this.#tell(
          "verify.contents",
          path,
          `${instruction.id} needs ${unit.id}, but ${place.buffer} holds ${missing}`,
        );
    } else {
      const { from, to, bytes } = instruction;
      const source = this.#index.buffer(from.buffer);
      const missing = this.#missing(source, from.offset - to.offset, unit, to.offset, to.offset + bytes);
      if (missing)
        this.#tell(
          "verify.contents",
          path,
          `${instruction.id} copies ${unit.id}, but ${from.buffer} holds ${missing}`,
        );
    }
  }

  /** What stands where a part of the unit should be; only slot bytes [from, to) are looked at. */
  #missing(buffer: PlanBuffer, base: number, unit: PlanUnit, from: number, to: number): string | undefined {
    for (const part of unit.parts) {
      const start = Math.max(part.at, from);
      const end = Math.min(part.at + part.bytes, to);
      if (start >= end) continue;
      const slot = buffer.offset + base;
      const expected = part.from - part.at - slot;
      const range = { arena: buffer.arena, start: slot + start, end: slot + end };
      const only = this.#memory.onlyContent(range);
      const { tensor } = part;
      if (only?.buffer === buffer.id && only.weight?.tensor === tensor && only.weight.delta === expected) {
        continue;
      }
      let found: string | undefined;
      this.#memory.eachContent(range, (value) => {
        if (!value) found ??= "nothing";
        else if (value.buffer !== buffer.id) found ??= value.buffer;
        else if (value.weight?.tensor !== part.tensor || value.weight.delta !== expected) {
          found ??= value.weight?.tensor ?? "other data";
        }
      });
      if (found !== undefined) return `${found} where ${part.tensor} should be`;
    }
    return undefined;
  }

  /** `evicts` is for people, but must not mislead them. */
  #evictionIsTrue({ instruction, path }: Step): void {
    if (instruction.kind !== "read" || instruction.evicts === null) return;
    const tensors = new Set(this.#index.unit(instruction.evicts).parts.map(({ tensor }) => tensor));
    const slots = new Set(instruction.segments.map(({ to }) => to.buffer));
    const held = [...slots].some((slot) =>
      this.#memory
        .contents(this.#index.whole(this.#index.buffer(slot)))
        .some(({ value }) => value?.weight && tensors.has(value.weight.tensor)),
    );
    if (!held)
      this.#tell(
        "verify.contents",
        path,
        `${instruction.id} says that it evicts ${instruction.evicts}, which is not there`,
      );
  }

  #residents(moment: string): void {
    const { buffers, residency } = this.#index.plan;
    const named = new Map(residency.map((one) => [one.buffer, one]));
    for (const buffer of buffers) {
      const expected = named.get(buffer.id);
      if (expected !== undefined) {
        const unit = this.#index.unit(expected.unit);
        const missing = this.#notResident(buffer, unit, expected.part ?? { from: 0, bytes: unit.bytes });
        if (missing)
          this.#tell(
            "verify.residency",
            "residency",
            `${moment} ${buffer.id} does not hold ${unit.id}: ${missing}`,
          );
      } else if (buffer.holds === "weights" && !buffer.lifetime) {
        const held = this.#memory
          .contents(this.#index.whole(buffer))
          .find(({ value }) => value?.buffer === buffer.id && value.weight);
        if (held)
          this.#tell(
            "verify.residency",
            "residency",
            `${moment} ${buffer.id} holds ${held.value!.weight!.tensor}, which the plan does not say`,
          );
      }
    }
  }

  /** A slot for a part of its units has no bytes to spare, so that a part cannot be stated that is none. */
  #notResident(
    buffer: PlanBuffer,
    unit: PlanUnit,
    part: { from: number; bytes: number },
  ): string | undefined {
    const { from, bytes } = part;
    if (bytes > buffer.bytes) return "too few bytes";
    if (from + bytes > unit.bytes) return "no such part";
    if (bytes < unit.bytes && bytes < buffer.bytes) return "a part smaller than the slot";
    return this.#missing(buffer, -from, unit, from, from + bytes);
  }

  /** The runtime reads the outputs after each step; an evaluation leaves behind at least one of them. */
  #outputs(program: ProgramName, first: number): void {
    const stale = this.#index.plan.step_outputs.filter(({ dtype, shape, at }) =>
      this.#memory
        .contents(this.#index.locate(at, tensorBytes(shape ?? [1], dtype)))
        .some(
          ({ value }) =>
            !value || value.writer < first || value.buffer !== at.buffer || value.dtype !== dtype,
        ),
    );
    const path = `programs.${program}.steady`;
    if (program === this.#index.cycle) {
      for (const { name } of stale)
        this.#tell("verify.state", path, `no instruction leaves \`${name}\` behind`);
    } else if (
      stale.length === this.#index.plan.step_outputs.length &&
      this.#index.part(program, "steady").length > 0
    ) {
      this.#tell("verify.state", path, `${program} leaves no step output behind`);
    }
  }

  #tell(code: Code, path: string, text: string): void {
    const key = `${code} ${path} ${text}`;
    if (!this.#told.has(key)) this.#report(code, path, text);
    this.#told.add(key);
  }
}

function readText({ step, buffer, arena, start, end }: Use): string {
  return `${step.instruction.id} reads ${arena}[${start}, ${end}) of ${buffer}`;
}

function bindsWeightsAt({ instruction }: Step, buffer: string): boolean {
  if (instruction.kind === "copy") return instruction.unit !== null;
  return instruction.kind === "run" && instruction.bind[weightsFormal]?.buffer === buffer;
}
