/**
 * bound-traffic: per program and link, the bytes moved beside a provable lower bound.
 *
 * Requires: instructions, shape. Guarantees: the bound follows from touches and capacities alone, with its certificate.
 */
import type { Instruction, Plan, PlanProgram, ProgramName } from "../../schemas/plan.ts";
import { type Touched, windowBound } from "../cost/bounds.ts";
import type { Expanded, LaidOut, Programs } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";

type Link = Plan["bounds"][number]["link"];

export function boundTraffic(
  expanded: Expanded,
  laidOut: LaidOut,
  units: Units,
  programs: Programs<PlanProgram>,
): Plan["bounds"] {
  const compute = computeArena(expanded.shape);
  const slots = laidOut.buffers.filter(({ holds }) => holds === "weights");
  const capacity = (link: Link) =>
    slots
      .filter(({ arena }) => link === "disk" || arena === compute)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  return (["train-step", "evaluate", "checkpoint"] as const).flatMap((program: ProgramName) => {
    const touches = touchesOf(programs[program].steady, units);
    return (["disk", "h2d", "d2h"] as const).flatMap((link) => {
      const moving = programs[program].steady.filter(({ lane }) => lane === link);
      if (moving.length === 0 && !(link === "disk" && program !== "checkpoint")) return [];
      const moved = moving.reduce((sum, { bytes }) => sum + bytes, 0);
      const compulsory = moving.reduce((sum, instruction) => sum + compulsoryBytes(instruction), 0);
      const window =
        link === "d2h" ? { bytes: 0, windows: [] } : windowBound(touches.distinct, capacity(link));
      const bound = window.bytes + compulsory;
      const windows = window.windows.map(([start, end]) => `${touches.runAt(start)}-${touches.runAt(end)}`);
      return [
        {
          link,
          program,
          moved,
          bound,
          proof: "windows",
          certificate: { capacity: capacity(link), compulsory, windows },
          gap_ppm: Math.floor(((moved - bound) * 1_000_000) / Math.max(bound, 1)),
        },
      ];
    });
  });
}

/** Bytes that have to move whatever stays resident: embedding rows, checkpoint files, step inputs, adapter, gradients. */
function compulsoryBytes(instruction: Instruction): number {
  switch (instruction.kind) {
    case "gather":
      return Math.min(instruction.indices.bytes / 4, instruction.table_rows) * instruction.row_bytes;
    case "write":
      return instruction.bytes;
    case "copy":
      return instruction.unit === null ? instruction.bytes : 0;
    default:
      return 0;
  }
}

interface Touches {
  /** Consecutive uses of a unit count once. */
  readonly distinct: readonly Touched[];
  /** Index among all runs with a unit of the run that a touch begins with; goes on past the cycle's end. */
  readonly runAt: (touch: number) => number;
}

function touchesOf(instructions: readonly Instruction[], units: Units): Touches {
  const runs = instructions.flatMap((one) => (one.kind === "run" && one.unit !== null ? [one.unit] : []));
  const starts = runs.flatMap((unit, run) => (run > 0 && runs[run - 1] === unit ? [] : [run]));
  const distinct = starts.map((run) => {
    const { id, parts } = units.byId.get(runs[run]!)!;
    return { unit: id, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
  const runAt = (touch: number) => {
    return Math.floor(touch / starts.length) * runs.length + starts[touch % starts.length]!;
  };
  return { distinct, runAt };
}
