/**
 * Timelines in the Trace Event Format of Chrome (JSON), which https://ui.perfetto.dev opens.
 *
 * A process is one timeline (measured or predicted), a thread one lane, a complete event (`X`) one instruction. A wait
 * between lanes is a flow from the end of the one to the start of the other; memory in use is a counter. Times are
 * microseconds, as the format wants, with three decimals: whole nanoseconds.
 */
import { type ArenaName, type Instruction, type LaneName, laneName } from "../../schemas/plan.ts";
import { HOLDINGS, type MemoryMap } from "../render/memory-map.ts";

/** One instruction of a timeline, in nanoseconds. */
export interface Span {
  readonly id: string;
  readonly lane: LaneName;
  readonly start: number;
  /** Null: it never ended. */
  readonly end: number | null;
  /** What the viewer shows of it. */
  readonly args: Readonly<Record<string, string | number>>;
}

export interface TracedTimeline {
  readonly name: string;
  readonly spans: readonly Span[];
  /** What each span waits for, by ids. */
  readonly waits: ReadonlyMap<string, readonly string[]>;
  readonly memory: MemoryMap | null;
}

export type TraceEvent = Readonly<Record<string, unknown>> & { readonly ph: string };

export interface TraceFile {
  readonly displayTimeUnit: "ns";
  readonly otherData: Readonly<Record<string, string>>;
  readonly traceEvents: readonly TraceEvent[];
}

export function perfettoTrace(
  timelines: readonly TracedTimeline[],
  otherData: TraceFile["otherData"],
): TraceFile {
  const traceEvents = timelines.flatMap((timeline, index) => {
    const pid = index + 1;
    return [
      ...names(timeline, pid, index),
      ...timeline.spans.map((span) => slice(span, pid)),
      ...flows(timeline, pid),
      ...(timeline.memory === null ? [] : counters(timeline.memory, pid)),
    ];
  });
  return { displayTimeUnit: "ns", otherData, traceEvents };
}

/** Ids of waits by the instruction that waits. */
export function waitsOf(instructions: readonly Instruction[]): ReadonlyMap<string, readonly string[]> {
  return new Map(instructions.map(({ id, waits }) => [id, waits.map(({ on }) => on)]));
}

const microseconds = (ns: number): number => Math.round(ns) / 1000;
const threadOf = (lane: LaneName): number => laneName.options.indexOf(lane) + 1;

function names({ name, spans }: TracedTimeline, pid: number, order: number): TraceEvent[] {
  const lanes = laneName.options.filter((lane) => spans.some((span) => span.lane === lane));
  const metadata = (what: string, tid: number, args: object): TraceEvent => {
    return { ph: "M", name: what, pid, tid, ts: 0, args };
  };
  return [
    metadata("process_name", 0, { name }),
    metadata("process_sort_index", 0, { sort_index: order }),
    ...lanes.flatMap((lane) => [
      metadata("thread_name", threadOf(lane), { name: lane }),
      metadata("thread_sort_index", threadOf(lane), { sort_index: threadOf(lane) }),
    ]),
  ];
}

function slice({ id, lane, start, end, args }: Span, pid: number): TraceEvent {
  const unfinished = end === null ? { unfinished: "yes" } : {};
  return {
    ph: "X",
    name: id,
    // The first word of the id: viewers colour and filter by it.
    cat: id.split("/")[0],
    pid,
    tid: threadOf(lane),
    ts: microseconds(start),
    dur: microseconds((end ?? start) - start),
    args: { ...args, ...unfinished },
  };
}

/** An arrow has to begin and end inside its slices; a slice of no length holds none. */
function flows({ spans, waits }: TracedTimeline, pid: number): TraceEvent[] {
  const byId = new Map(spans.map((span) => [span.id, span]));
  let id = pid * 1_000_000;
  return spans.flatMap((later) =>
    (waits.get(later.id) ?? []).flatMap((on): TraceEvent[] => {
      const earlier = byId.get(on);
      if (earlier === undefined || lastMoment(earlier) === null || lastMoment(later) === null) return [];
      const from = lastMoment(earlier)!;
      // A procedure may begin before the call that waits.
      const to = Math.min(lastMoment(later)!, Math.max(later.start, from));
      if (to < from) return [];
      id++;
      const common = { name: "wait", cat: "wait", id, pid };
      return [
        { ph: "s", ...common, tid: threadOf(earlier.lane), ts: microseconds(from) },
        { ph: "f", bp: "e", ...common, tid: threadOf(later.lane), ts: microseconds(to) },
      ];
    }),
  );
}

function lastMoment({ start, end }: Span): number | null {
  return end === null || end - start < 1 ? null : end - 1;
}

/** Bytes alive in each arena, by what they hold, at every moment at which that changes. */
function counters({ occupations }: MemoryMap, pid: number): TraceEvent[] {
  const arenas = [...new Set(occupations.map(({ arena }) => arena))].sort();
  return arenas.flatMap((arena: ArenaName) => {
    const changes = new Map<number, { readonly holding: string; readonly bytes: number }[]>();
    const note = (time: number, holding: string, bytes: number): void => {
      changes.set(time, [...(changes.get(time) ?? []), { holding, bytes }]);
    };
    for (const { arena: own, start, end, holding, bytes } of occupations) {
      if (own !== arena) continue;
      note(start, holding, bytes);
      note(end, holding, -bytes);
    }
    const alive: Record<string, number> = Object.fromEntries(HOLDINGS.map(({ id }) => [id, 0]));
    return [...changes.keys()]
      .sort((a, b) => a - b)
      .map((time): TraceEvent => {
        for (const { holding, bytes } of changes.get(time)!) alive[holding]! += bytes;
        return { ph: "C", name: `${arena} bytes`, pid, ts: microseconds(time), args: { ...alive } };
      });
  });
}
