/** The units of a plan: where each is kept and what it costs in a step; or one of them, instruction by instruction. */
import type { Timed } from "../../planner/simulate/simulate.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { DiagnosticError, diagnostic } from "../../schemas/diagnostic.ts";
import type { AnyPlan } from "../../schemas/plan.ts";
import { nearest } from "../../schemas/suggest.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { fitTable, missingText } from "./fit-table.ts";
import { type WeightTraffic, weightTraffic } from "./plan-facts.ts";
import { type Screen, textWidth } from "./screen.ts";
import { formatCount, wrap, wrapLine } from "./table.ts";

const INDENT = "  ";

/** Predicted nanoseconds of a training step that are spent on one unit. */
export interface LayerTime {
  /** On the links: loads from disk and copies of its weights. */
  readonly moving: number;
  /** On the compute lane, with its weights. */
  readonly computing: number;
  /** The compute lane stood still before that. */
  readonly waiting: number;
}

/** Columns of the tables below. */
const [BYTES, KEPT] = [1, 2];
const [MOVES, LANE] = [3, 4];

export type Layer = WeightTraffic & LayerTime;

export function layersOf(plan: AnyPlan): readonly Layer[] {
  const { timeline } = simulatePlan(plan);
  return weightTraffic(plan).map((unit) => ({ ...unit, ...timeOf(ownInstructions(timeline, unit.id)) }));
}

export function renderLayers(plan: AnyPlan, screen: Screen): string {
  const { paint, columns } = screen;
  const threeTiers = plan.shape.tiers === "disk-ram-vram";
  const generates = "purpose" in plan;
  const names = [
    "unit",
    "bytes",
    "kept",
    `loads into ${plan.shape.compute_arena}`,
    ...(threeTiers ? ["reads from disk"] : []),
    "moving",
    "computing",
    "waiting",
    generates ? "adapter" : "trained",
  ];
  const { head, rows, missing } = fitTable(
    names,
    layersOf(plan).map(({ id, bytes, kept, loads, reads, moving, computing, waiting, parameters }) => [
      id,
      formatBytes(bytes),
      kept,
      zeroAsDash(loads),
      ...(threeTiers ? [zeroAsDash(reads)] : []),
      ...[moving, computing, waiting].map((ns) => (ns === 0 ? "–" : formatNanoseconds(ns))),
      zeroAsDash(parameters),
    ]),
    { alignment: "lrlr", indent: INDENT, width: columns, spare: [names.length - 1, KEPT, BYTES] },
  );
  const legend = generates
    ? "per token, predicted; adapter: its values"
    : "per training step, predicted; trained: adapter values";
  const lines = [
    ...wrap(`${paint.bold("Layers")} (${legend})`, textWidth(screen)),
    ...head.map(paint.dim),
    ...rows.flat(),
    ...missingText(missing, INDENT, columns).map(paint.dim),
  ];
  return `${lines.join("\n")}\n`;
}

/** One unit's instructions in a training step. Throws `cli.usage` when the plan has no such unit. */
export function renderLayer(plan: AnyPlan, wanted: string, { paint, columns }: Screen): string {
  const layers = layersOf(plan);
  const layer = layers.find(({ id }) => id === wanted);
  if (layer === undefined) throw unknownUnit(wanted, layers);
  const { id, bytes, kept, parameters } = layer;
  const timed = ownInstructions(simulatePlan(plan).timeline, id);
  const { head, rows, missing } = fitTable(
    ["starts", "takes", "waits", "moves", "lane", "instruction"],
    timed.map(({ instruction, start, end, stall }) => [
      formatNanoseconds(start),
      formatNanoseconds(end - start),
      stall === null ? "" : formatNanoseconds(stall.ns),
      instruction.bytes === 0 ? "" : formatBytes(instruction.bytes),
      instruction.lane,
      instruction.id,
    ]),
    { alignment: "rrrrl", indent: INDENT, width: columns, spare: [MOVES, LANE] },
  );
  const title = `${paint.bold(id)}  ${formatBytes(bytes)}, ${kept}; ${formatCount(parameters)} adapter values`;
  const body =
    timed.length === 0
      ? ["  no instruction of a step has its weights"]
      : [...head.map(paint.dim), ...rows.flat(), ...missingText(missing, INDENT, columns).map(paint.dim)];
  return `${[...wrapLine(title, columns), ...body].join("\n")}\n`;
}

function ownInstructions(timeline: readonly Timed[], unit: string): Timed[] {
  return timeline.filter(({ instruction }) => "unit" in instruction && instruction.unit === unit);
}

function timeOf(timed: readonly Timed[]): LayerTime {
  const sum = (wanted: (one: Timed) => boolean, of: (one: Timed) => number): number =>
    timed.filter(wanted).reduce((total, one) => total + of(one), 0);
  const isRun = ({ instruction }: Timed): boolean => instruction.lane === "compute";
  const length = ({ start, end }: Timed): number => end - start;
  return {
    moving: sum((one) => !isRun(one), length),
    computing: sum(isRun, length),
    waiting: sum(isRun, ({ stall }) => stall?.ns ?? 0),
  };
}

function unknownUnit(wanted: string, layers: readonly Layer[]): DiagnosticError {
  const ids = layers.map(({ id }) => id);
  const near = nearest(wanted, ids);
  const hint = near === undefined ? `units are ${ids.join(", ")}` : `did you mean \`${near}\`?`;
  return new DiagnosticError(
    diagnostic("cli.usage", { summary: `the plan has no unit \`${wanted}\``, hint }),
  );
}

function zeroAsDash(value: number): string {
  return value === 0 ? "–" : formatCount(value);
}
