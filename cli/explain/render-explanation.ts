/** An explanation as tables for people. */
import type { RunRecord } from "../../schemas/run.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { fitTable } from "../render/fit-table.ts";
import { formatDeviceUse } from "../render/run-memory.ts";
import { wrapLine } from "../render/table.ts";
import type { OpTotal } from "./calibrate.ts";
import type { ComparedTime, Explanation } from "./compare-times.ts";

export function renderExplanation(
  explanation: Explanation,
  ops: readonly OpTotal[],
  memory: RunRecord["memory"] | null,
  worst: number,
  columns: number,
): string {
  const { step, steps, lanes, groups, program } = explanation;
  const offenders = worstOf(explanation, worst);
  // Which lane says least: the names of instructions begin with what they do.
  const fit = { alignment: "llr", indent: "  ", width: columns, spare: [1] };
  const table = (rows: readonly (readonly string[])[]): string[] => {
    const fitted = fitTable(HEADER, rows, fit);
    return [...fitted.head, ...fitted.rows.flat()];
  };
  const sections = [
    ["Step", ...table([[`traced ${program}`, "", ...times(step)], ...medians(explanation)])],
    ...(steps === null ? [] : [["Drift", ...wrapLine(`  ${driftText(steps)}`, columns)]]),
    ["Lanes, at work", ...table(lanes.map((lane) => [lane.lane, "", ...times(lane)]))],
    ["What it did", ...table(groups.map((group) => [group.name, `${group.count} ×`, ...times(group)]))],
    [
      "Ops of the compute lane, measured as its procedures imply",
      ...table(
        ops.map(({ op, predicted_ns, fitted_ns }) => [
          op,
          "",
          ...times({ predicted_ns, measured_ns: fitted_ns }),
        ]),
      ),
    ],
    [
      "Furthest from their prediction",
      ...table(offenders.map((one) => [one.instruction.id, one.instruction.lane, ...times(one)])),
    ],
    ...(memory === null
      ? []
      : [["Memory", ...memoryLines(memory).flatMap((line) => wrapLine(line, columns))]]),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** Instructions by how many nanoseconds the prediction missed them. */
export function worstOf({ instructions }: Explanation, count: number): Explanation["instructions"] {
  const miss = ({ predicted_ns, measured_ns }: ComparedTime): number => Math.abs(measured_ns - predicted_ns);
  return instructions.toSorted((a, b) => miss(b) - miss(a)).slice(0, count);
}

function memoryLines({ ram, vram, device }: RunRecord["memory"]): string[] {
  const measured = ram.measured === null ? "not measured" : `measured ${formatBytes(ram.measured)}`;
  return [
    `  process: planned ${formatBytes(ram.planned)}, ${measured}`,
    ...(vram === null || device === null
      ? []
      : [`  device: ${formatDeviceUse({ ...device, planned: vram.planned })}`]),
  ];
}

const HEADER = ["", "", "predicted", "measured", "measured is"];

function medians({ step, steps }: Explanation): string[][] {
  if (steps === null) return [];
  const { predicted_ns } = step;
  return [[`median of ${steps.count}`, "", ...times({ predicted_ns, measured_ns: steps.median_ns })]];
}

function times({ predicted_ns, measured_ns }: ComparedTime): string[] {
  return [
    formatNanoseconds(predicted_ns),
    formatNanoseconds(measured_ns),
    signed(measured_ns / predicted_ns - 1),
  ];
}

/** `+12.3 %` of a share. */
function signed(share: number): string {
  const percent = (100 * share).toFixed(1);
  return `${Number(percent) > 0 ? "+" : ""}${percent} %`;
}

function driftText({ first_third_ns, last_third_ns }: NonNullable<Explanation["steps"]>): string {
  const change = signed(last_third_ns / first_third_ns - 1);
  return `first third ${formatNanoseconds(first_third_ns)} a step, last third ${formatNanoseconds(last_third_ns)} (${change})`;
}
