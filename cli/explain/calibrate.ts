/**
 * A hardware profile that would have predicted a run: what `lema explain --profile` writes.
 *
 * A trace times procedures, not calls. How much slower than predicted each op is follows from procedures that mix them
 * differently: factors f minimize Σ ((Σ_op f_op · predicted_op − measured) / measured)² + ridge · Σ (f_op − g)², where
 * g is the ratio of all measured to all predicted time (ridge regression, Hoerl & Kennard 1970). Ops that no trace can
 * tell apart share their error.
 */

import { attendedIn } from "../../planner/cost/attended.ts";
import { callWork } from "../../planner/cost/call-work.ts";
import { costModel } from "../../planner/cost/duration.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { LaneName, Plan, PlanCall } from "../../schemas/plan.ts";
import { mergeAlike } from "../probe/measure-calls.ts";
import { median } from "../probe/median.ts";
import { callsOf } from "../probe/step-calls.ts";
import { type ComparedTime, type Explanation, hardwareOf } from "./compare-times.ts";

/** Weighs a factor's distance from g against one procedure's relative error. */
const RIDGE = 0.01;
/** A factor stays within this of g in either direction: a fit may not make work free. */
const RANGE = 8;

export interface OpTotal {
  readonly op: string;
  readonly predicted_ns: number;
  /** Predicted, times the factor that the run's procedures imply. */
  readonly fitted_ns: number;
}

/** The compute lane's time by op, as predicted and as the run implies, longest first. */
export function opTotals(plan: Plan, explanation: Explanation): readonly OpTotal[] {
  const factors = opFactors(plan, explanation);
  const totals = new Map<string, number>();
  const shares = sharesOf(plan);
  for (const { procedure } of computed(explanation)) {
    for (const [op, ns] of shares(procedure)) totals.set(op, (totals.get(op) ?? 0) + ns);
  }
  return [...totals]
    .map(([op, ns]) => ({ op, predicted_ns: Math.round(ns), fitted_ns: Math.round(ns * factors.get(op)!) }))
    .sort((a, b) => b.fitted_ns - a.fitted_ns || (a.op < b.op ? -1 : 1));
}

/** The plan's profile with the rates and call times that the run shows. */
export function calibrate(plan: Plan, explanation: Explanation): HardwareProfile {
  const profile = hardwareOf(plan);
  const factors = opFactors(plan, explanation);
  // A profile knows calls of rows that are one segment.
  const { call: predict } = costModel(plan.procedures, profile, 1);
  const scaled = (profile.compute.calls ?? []).map((call) => ({
    work: { ...call, product: call.product ?? null },
    ns: Math.max(1, Math.round(call.ns * (factors.get(call.op) ?? 1))),
  }));
  const seen = callsOf(plan).flatMap((call: PlanCall) => {
    const factor = factors.get(call.op);
    if (factor === undefined) return [];
    const ns = Math.max(1, Math.round(predict(call, "compute") * factor));
    return [{ work: callWork(call, profile.compute.kind), ns }];
  });
  const speed = (lane: LaneName): number => linkSpeed(explanation, lane);
  const { disk, links } = profile;
  return {
    ...profile,
    name: `${profile.name}, calibrated`,
    source: `${profile.source ?? profile.name}; calibrated by a run`,
    compute: { ...profile.compute, calls: [...mergeAlike([...scaled, ...seen])] },
    disk: { ...disk, bandwidth: Math.round(disk.bandwidth * speed("disk")) },
    links: links && {
      ...links,
      h2d_bandwidth: Math.round(links.h2d_bandwidth * speed("h2d")),
      d2h_bandwidth: Math.round(links.d2h_bandwidth * speed("d2h")),
    },
  };
}

/** How much faster than predicted a link was: the median over its long transfers; 1 where there are none. */
function linkSpeed({ instructions }: Explanation, lane: LaneName): number {
  const ratios = instructions
    .filter(({ instruction }) => instruction.lane === lane && /^(read|copy)$/.test(instruction.kind))
    .map(({ predicted_ns, measured_ns }) => predicted_ns / measured_ns);
  return ratios.length === 0 ? 1 : median(ratios);
}

/** Measured ÷ predicted of every op that the compute lane ran. */
function opFactors(plan: Plan, explanation: Explanation): ReadonlyMap<string, number> {
  const runs = computed(explanation);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const whole = sum(runs.map((run) => run.measured_ns)) / sum(runs.map((run) => run.predicted_ns));
  const shares = sharesOf(plan);
  const equations = byProcedure(runs).map((run) => {
    return { shares: shares(run.procedure), measured: run.measured_ns };
  });
  const names = [...new Set(equations.flatMap((equation) => [...equation.shares.keys()]))].sort();
  const rows = equations.map((equation) =>
    names.map((name) => (equation.shares.get(name) ?? 0) / equation.measured),
  );
  // Normal equations of the distance from g, so that the ridge pulls towards it.
  const matrix = names.map((_, i) =>
    names.map((_, j) => sum(rows.map((row) => row[i]! * row[j]!)) + (i === j ? RIDGE : 0)),
  );
  const right = names.map((_, i) => sum(rows.map((row) => row[i]! * (1 - whole * sum(row)))));
  const distances = solve(matrix, right);
  return new Map(
    names.map((name, index) => [
      name,
      Math.min(Math.max(whole + distances[index]!, whole / RANGE), whole * RANGE),
    ]),
  );
}

interface ProcedureRun extends ComparedTime {
  readonly procedure: string;
}

const computed = ({ instructions }: Explanation): readonly ProcedureRun[] =>
  instructions.flatMap(({ instruction, ...times }) =>
    instruction.kind === "run" && instruction.lane === "compute"
      ? [{ ...times, procedure: instruction.procedure }]
      : [],
  );

/** One run of each procedure, with the median of its times. */
function byProcedure(runs: readonly ProcedureRun[]): readonly ProcedureRun[] {
  const groups = new Map<string, ProcedureRun[]>();
  for (const run of runs) groups.set(run.procedure, [...(groups.get(run.procedure) ?? []), run]);
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    measured_ns: median(group.map((run) => run.measured_ns)),
  }));
}

type Shares = (procedure: string) => ReadonlyMap<string, number>;

/** Predicted nanoseconds of one run of a procedure, by op. */
function sharesOf(plan: Plan): Shares {
  const { call: predict } = costModel(plan.procedures, hardwareOf(plan), attendedIn(plan));
  const byProcedure = new Map(
    plan.procedures.map(({ id, calls }) => {
      const shares = new Map<string, number>();
      for (const call of calls) shares.set(call.op, (shares.get(call.op) ?? 0) + predict(call, "compute"));
      return [id, shares];
    }),
  );
  return (procedure) => byProcedure.get(procedure)!;
}

/** Gaussian elimination; the ridge makes the matrix positive definite, so that no pivoting is needed. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index]!]);
  const size = rows.length;
  for (let pivot = 0; pivot < size; pivot++) {
    for (let row = 0; row < size; row++) {
      if (row === pivot) continue;
      const factor = rows[row]![pivot]! / rows[pivot]![pivot]!;
      for (let column = pivot; column <= size; column++) {
        rows[row]![column]! -= factor * rows[pivot]![column]!;
      }
    }
  }
  return rows.map((row, index) => row[size]! / row[index]!);
}
