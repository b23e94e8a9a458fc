/**
 * What the report page draws, computed from the plan: timelines with their binding constraints, and memory maps.
 *
 * The page carries it as JSON, so things are named once and referred to by their place in a list.
 */

import { simulatePlan } from "../../../planner/simulate/simulate-plan.ts";
import {
  type AnyPlan,
  type ArenaName,
  type Instruction,
  laneName,
  type ProgramName,
  programsOf,
  type Range,
} from "../../../schemas/plan.ts";
import { HOLDINGS, type Holding, memoryMap } from "../memory-map.ts";
import { bindings, slacks } from "../plan-binding.ts";
import { conflictsBetween } from "../plan-conflicts.ts";

/** Kinds of work, in the order of a legend. */
export const WORK = [
  { id: "load", words: "weights moving" },
  { id: "copy", words: "other copies" },
  { id: "forward", words: "forward" },
  { id: "head", words: "head and loss" },
  { id: "backward", words: "backward" },
  { id: "optimizer", words: "optimizer" },
  { id: "other", words: "other" },
] as const;
export type Work = (typeof WORK)[number]["id"];

/** [buffer, offset, bytes] */
export type ReportRange = readonly [number, number, number];

export interface ReportInstruction {
  readonly id: string;
  readonly lane: number;
  readonly kind: Instruction["kind"];
  readonly work: Work;
  readonly start: number;
  readonly end: number;
  /** Nanoseconds that its lane stood still before it. */
  readonly stall: number;
  readonly slack: number;
  readonly bytes: number;
  readonly unit: string | null;
  /** What decides its start, in words. */
  readonly binding: string;
  /** Places in the list of instructions. */
  readonly waits: readonly number[];
  readonly reads: readonly ReportRange[];
  readonly writes: readonly ReportRange[];
}

export interface ReportOccupation {
  readonly buffer: number;
  readonly start: number;
  readonly end: number;
  readonly holding: Holding;
  readonly unit: string | null;
  readonly loading: string | null;
}

export interface ReportProgram {
  readonly name: ProgramName;
  /** Nanoseconds. */
  readonly duration: number;
  readonly bottleneck: number;
  /** Busy nanoseconds of each lane. */
  readonly busy: readonly number[];
  readonly instructions: readonly ReportInstruction[];
  readonly occupations: readonly ReportOccupation[];
}

export interface ReportModel {
  readonly lanes: readonly string[];
  readonly holdings: typeof HOLDINGS;
  readonly work: typeof WORK;
  readonly arenas: readonly { readonly name: ArenaName; readonly bytes: number }[];
  readonly buffers: readonly {
    readonly id: string;
    readonly arena: ArenaName;
    readonly offset: number;
    readonly bytes: number;
  }[];
  readonly programs: readonly ReportProgram[];
}

export function reportModel(plan: AnyPlan): ReportModel {
  const { vram, ram } = plan.budgets;
  const places = new Map(plan.buffers.map(({ id }, index) => [id, index]));
  const programs = Object.entries(programsOf(plan)).flatMap(([name, { steady }]) =>
    steady.length > 0 ? [name as ProgramName] : [],
  );
  return {
    lanes: laneName.options,
    holdings: HOLDINGS,
    work: WORK,
    arenas: [
      ...(vram === null ? [] : [{ name: "vram" as const, bytes: vram.arena }]),
      { name: "ram" as const, bytes: ram.arena },
    ],
    buffers: plan.buffers.map(({ id, arena, offset, bytes }) => ({ id, arena, offset, bytes })),
    programs: programs.map((name) => programOf(plan, name, places)),
  };
}

function programOf(plan: AnyPlan, name: ProgramName, places: ReadonlyMap<string, number>): ReportProgram {
  const simulation = simulatePlan(plan, name);
  const { timeline, duration, lanes } = simulation;
  const decides = bindings(simulation);
  const slack = slacks(simulation);
  const positions = new Map(timeline.map(({ instruction }, index) => [instruction.id, index]));
  const range = ({ buffer, offset, bytes }: Range): ReportRange => [places.get(buffer)!, offset, bytes];
  const busiest = lanes.reduce((a, b) => (b.busy > a.busy ? b : a));
  return {
    name,
    duration,
    bottleneck: laneName.options.indexOf(busiest.lane),
    busy: laneName.options.map((lane) => lanes.find((one) => one.lane === lane)?.busy ?? 0),
    instructions: timeline.map(({ instruction, start, end, stall }, index): ReportInstruction => {
      const binding = decides[index]!;
      const cause = binding.kind === "wait" ? timeline[positions.get(binding.on)!] : undefined;
      const [reason] = cause === undefined ? [] : conflictsBetween(plan, cause.instruction, instruction);
      return {
        id: instruction.id,
        lane: laneName.options.indexOf(instruction.lane),
        kind: instruction.kind,
        work: workOf(instruction),
        start,
        end,
        stall: stall?.ns ?? 0,
        slack: slack.get(instruction.id) ?? 0,
        bytes: instruction.bytes,
        unit: "unit" in instruction ? instruction.unit : null,
        binding:
          binding.kind === "start"
            ? "nothing: starts with the step"
            : binding.kind === "lane"
              ? `its lane: busy with ${binding.on}`
              : `${reason?.kind ?? "data"}: ${binding.on} ${reason?.kind === "memory" ? "uses" : "makes"} ${reason?.shared[0]?.theirs.id ?? "it"}`,
        waits: instruction.waits.map(({ on }) => positions.get(on)!),
        reads: instruction.reads.map(range),
        writes: instruction.writes.map(range),
      };
    }),
    occupations: memoryMap(plan, name).occupations.map(({ buffer, start, end, holding, unit, loading }) => {
      return { buffer: places.get(buffer)!, start, end, holding, unit, loading };
    }),
  };
}

/** By what it moves, and for computations by the first word of the stable id. */
function workOf(instruction: Instruction): Work {
  if (instruction.kind === "read") return "load";
  if (instruction.kind === "copy") return instruction.unit === null ? "copy" : "load";
  if (instruction.kind !== "run") return "copy";
  if (instruction.lane === "host") return "optimizer";
  return COMPUTATIONS[instruction.id.split("/")[0]!] ?? "other";
}

const COMPUTATIONS: Readonly<Record<string, Work>> = {
  fwd: "forward",
  bwd: "backward",
  head: "head",
  loss: "head",
  zero: "optimizer",
  squares: "optimizer",
  norm: "optimizer",
  adamw: "optimizer",
};
