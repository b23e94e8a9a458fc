/**
 * Why a shape that was weighed is the chosen one, or is not, in a few words. They say what the search found out and
 * nothing else: it times the schedules of some candidates only, lays out fewer, and asks for the bound of traffic where
 * that decides.
 */
import type { Plan } from "../../schemas/plan.ts";
import { formatBytes } from "../../schemas/units.ts";

/** Bytes that a link moves in a step, and no fewer than which it can. */
export type LinkTraffic = Pick<Plan["bounds"][number], "link" | "moved" | "bound">;

/** What was found out of a candidate beyond the time of its schedule. */
export type Verdict =
  /** Its layout needs more memory than there is. */
  | { readonly kind: "too large" }
  /** Nanoseconds of a step on its layout, which is longer than that of its schedule. */
  | { readonly kind: "laid out"; readonly ns: number }
  /** Some link moves more than is given time for. */
  | { readonly kind: "over bound"; readonly traffic: LinkTraffic };

export interface Finding {
  /** Nanoseconds of a step by its schedule; null where that was not timed. */
  readonly time: number | null;
  readonly verdict: Verdict | null;
}

/** What candidates are compared by. */
export interface Weighed {
  /** Nanoseconds of a step. */
  readonly time: number;
  /** Bytes on all links in a step. */
  readonly moved: number;
}

/** The chosen one; `time` is that of its layout. */
export interface Winner extends Weighed {
  /** By its schedule; null where a layout that did not fit made it smaller than what was timed. */
  readonly scheduled: number | null;
  /** It was not the fastest, but close enough, and its traffic is close to its bound. */
  readonly thrifty: boolean;
}

/** The largest share by which a link moves more than its bound. */
export function gapOf({ moved, bound }: LinkTraffic): number {
  return moved === bound ? 0 : moved / bound - 1;
}

/** What a candidate is measured by. */
export interface Standard {
  readonly chosen: Winner;
  /** Nanoseconds of a step of the fastest schedule that was timed. */
  readonly fastest: number;
  /** How many were timed. */
  readonly timed: number;
}

export function reasonFor({ chosen, fastest }: Standard): string {
  if (chosen.thrifty) return "chosen: its traffic is close to its bound";
  return chosen.scheduled === fastest
    ? "chosen: the fastest"
    : "chosen: the fastest of what was laid out and fits";
}

/** `closed`: what the closed form says of the candidate. */
export function reasonAgainst(
  closed: Weighed,
  { time, verdict }: Finding,
  { chosen, timed }: Standard,
): string {
  const ns = time ?? closed.time;
  const speed = comparedWith(chosen.time, ns);
  const moves = traffic(closed.moved - chosen.moved);
  if (time === null) {
    if (ns > chosen.time) return `by the closed form ${speed}, not timed`;
    return `by the closed form ${speed}, ${moves}, not among the ${timed} timed`;
  }
  if (verdict?.kind === "too large") return "does not fit once it is laid out";
  if (verdict?.kind === "laid out") return `${comparedWith(chosen.time, verdict.ns)} once it is laid out`;
  if (ns > chosen.time) return speed;
  if (verdict?.kind === "over bound") {
    return `${speed}, ${chosen.thrifty ? "but" : "also"} ${excess(verdict.traffic)}`;
  }
  return `${speed}, ${moves}${ns < chosen.time || closed.moved < chosen.moved ? ", not laid out" : ""}`;
}

/** Of a step that takes `ns`, in words. */
function comparedWith(chosen: number, ns: number): string {
  if (ns === chosen) return "as fast";
  return ns > chosen ? `slower by ${percent(ns / chosen - 1)}` : `faster by ${percent(1 - ns / chosen)}`;
}

function traffic(more: number): string {
  if (more === 0) return "moves as much";
  return `moves ${formatBytes(Math.abs(more))} ${more > 0 ? "more" : "less"}`;
}

const OVER: Readonly<Record<LinkTraffic["link"], string>> = {
  disk: "of disk reads",
  h2d: "of copies to vram",
  d2h: "of copies to ram",
};
const ALONG: Readonly<Record<LinkTraffic["link"], string>> = {
  disk: "from disk",
  h2d: "to vram",
  d2h: "to ram",
};

/** A share where it says something: not of nothing, nor of next to nothing. */
function excess(over: LinkTraffic): string {
  const { link, moved, bound } = over;
  if (gapOf(over) <= 1) return `${percent(gapOf(over))} over the bound ${OVER[link]}`;
  return `${formatBytes(moved)} ${ALONG[link]} where the bound is ${formatBytes(bound)}`;
}

function percent(share: number): string {
  const value = 100 * share;
  if (value < 0.05) return "less than 0.1 %";
  return `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}
