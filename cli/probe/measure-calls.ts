/**
 * Times of the op calls of made-up models, and the rates that follow from them.
 *
 * A step is the sum of many calls, so a call's time is the median of its rounds and not the best of them. The rounds are
 * spread over passes through all models: a busy second touches few of them.
 */
import { type CallWork, callWork } from "../../planner/cost/call-work.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { OpName } from "../../schemas/ops/index.ts";
import type { Plan, PlanCall } from "../../schemas/plan.ts";
import { median } from "./median.ts";
import { arenaOf, type CallSite, timeCalls } from "./time-calls.ts";

export type MeasuredCall = NonNullable<HardwareProfile["compute"]["calls"]>[number];

export interface Effort {
  /** Passes through all calls: as many as begin within `seconds`, and at least as many as `passes`. */
  readonly seconds: number;
  readonly passes: number;
  /** How long the calls of one model are repeated in a pass. */
  readonly dwell: number;
  /** Bytes of memory that the calls of one model go through at least; 0: as many as its arena has. */
  readonly footprint: number;
}

export async function measureCalls(
  plans: readonly Plan[],
  options: Effort & CallSite & { readonly onProgress: (share: number) => void },
): Promise<readonly MeasuredCall[]> {
  const { seconds, passes, dwell, onProgress, ...site } = options;
  const kind = arenaOf(site.backend) === "vram" ? "cuda" : "cpu";
  const times = new Map<PlanCall, number[]>();
  const began = performance.now();
  const elapsed = (): number => (performance.now() - began) / 1000;
  for (let pass = 0; pass < passes || elapsed() < seconds; pass++) {
    for (const [index, plan] of plans.entries()) {
      const least = (pass + index / plans.length) / passes;
      onProgress(Math.min(least, elapsed() / seconds, 1));
      for (const { call, times: own } of await timeCalls(plan, { ...site, seconds: dwell })) {
        times.set(call, [...(times.get(call) ?? []), ...own]);
      }
    }
  }
  const all = [...times].map(([call, own]) => {
    return { work: callWork(call, kind), ns: Math.max(1, Math.round(median(own))) };
  });
  return mergeAlike(all);
}

/** Calls of the same work are one entry, with the mean of their times. */
export function mergeAlike(
  calls: readonly { readonly work: CallWork; readonly ns: number }[],
): readonly MeasuredCall[] {
  const byWork = new Map<string, { readonly work: CallWork; readonly times: number[] }>();
  for (const { work, ns } of calls) {
    const key = JSON.stringify(work);
    const entry = byWork.get(key) ?? { work, times: [] };
    entry.times.push(ns);
    byWork.set(key, entry);
  }
  const merged = [...byWork.values()].map(({ work: { op, product, ...work }, times }) => {
    const ns = Math.round(times.reduce((sum, time) => sum + time, 0) / times.length);
    return { op, ...(product === null ? {} : { product }), ...work, ns };
  });
  return sortCalls(merged);
}

/** By op, dtype and work. */
export function sortCalls(calls: readonly MeasuredCall[]): readonly MeasuredCall[] {
  return calls.toSorted(
    (a, b) =>
      compare(a.op, b.op) ||
      compare(a.product ?? "", b.product ?? "") ||
      a.flops - b.flops ||
      a.read - b.read ||
      a.written - b.written ||
      (a.width ?? 0) - (b.width ?? 0),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Operations per second of the fastest product of a dtype, of which there has to be one. */
export function matrixRate(calls: readonly MeasuredCall[], dtype: "f32" | "bf16" | "f16"): number {
  const rates = calls.filter(({ product }) => product === dtype).map(({ flops, ns }) => (flops * 1e9) / ns);
  return Math.round(Math.max(...rates));
}

const STREAMING: OpName = "add";

/** Bytes per second that all threads together move, by the longest of the ops that only stream. */
export function memoryBandwidth(calls: readonly MeasuredCall[]): number {
  return bandwidthOf(STREAMING, calls);
}

/** Bytes per second that the largest of an op's calls moves. */
export function bandwidthOf(wanted: OpName, calls: readonly MeasuredCall[]): number {
  const own = calls.filter(({ op }) => op === wanted);
  const largest = own.reduce((best, call) => (call.read > best.read ? call : best));
  return Math.round(((largest.read + largest.written) * 1e9) / largest.ns);
}
