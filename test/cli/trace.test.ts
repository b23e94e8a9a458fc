/** `lema trace --perfetto`: what it writes is a well-formed trace, of the run that was and of the prediction. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { perfettoTrace, type TraceFile } from "../../cli/trace/perfetto.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { jsonText } from "../../runtime/files.ts";
import type { Plan } from "../../schemas/plan.ts";
import { makeFiles, makePlan } from "../runtime/small-run.ts";
import { lema } from "./run-in-process.ts";

const place = { pid: z.int().positive(), tid: z.int().nonnegative(), ts: z.number().nonnegative() };
/** The Trace Event Format, as far as lema uses it; nothing else may occur. */
const eventSchema = z.discriminatedUnion("ph", [
  z.strictObject({
    ph: z.literal("M"),
    name: z.enum(["process_name", "process_sort_index", "thread_name", "thread_sort_index"]),
    args: z.union([z.strictObject({ name: z.string() }), z.strictObject({ sort_index: z.int() })]),
    ...place,
  }),
  z.strictObject({
    ph: z.literal("X"),
    name: z.string(),
    cat: z.string().min(1),
    dur: z.number().nonnegative(),
    args: z.record(z.string(), z.union([z.string(), z.number()])),
    ...place,
  }),
  z.strictObject({ ph: z.literal("s"), name: z.string(), cat: z.string(), id: z.int(), ...place }),
  z.strictObject({
    ph: z.literal("f"),
    bp: z.literal("e"),
    name: z.string(),
    cat: z.string(),
    id: z.int(),
    ...place,
  }),
  z.strictObject({
    ph: z.literal("C"),
    name: z.string(),
    args: z.record(z.string(), z.number().nonnegative()),
    pid: place.pid,
    ts: place.ts,
  }),
]);
type Event = z.output<typeof eventSchema>;
type Slice = Extract<Event, { ph: "X" }>;

/** All that a viewer needs: known events, slices of a thread that do not overlap, arrows inside slices and in pairs. */
function check(file: unknown): Event[] {
  const { traceEvents } = z
    .strictObject({
      displayTimeUnit: z.literal("ns"),
      otherData: z.record(z.string(), z.string()),
      traceEvents: z.array(eventSchema),
    })
    .parse(file);
  const slices = traceEvents.filter((event): event is Slice => event.ph === "X");
  const nanoseconds = (us: number): number => Math.round(us * 1000);
  const byThread = new Map<string, Slice[]>();
  for (const slice of slices) {
    const thread = `${slice.pid}/${slice.tid}`;
    byThread.set(thread, [...(byThread.get(thread) ?? []), slice]);
  }
  for (const [thread, own] of byThread) {
    const sorted = own.toSorted((a, b) => a.ts - b.ts || a.dur - b.dur);
    const overlaps = sorted.filter((slice, index) => {
      const previous = sorted[index - 1];
      return previous !== undefined && nanoseconds(slice.ts) < nanoseconds(previous.ts + previous.dur);
    });
    expect({ thread, overlaps }).toEqual({ thread, overlaps: [] });
    const named = traceEvents.some(
      (one) => one.ph === "M" && one.name === "thread_name" && `${one.pid}/${one.tid}` === thread,
    );
    expect({ thread, named }).toEqual({ thread, named: true });
  }
  const ends = new Map(traceEvents.flatMap((one) => (one.ph === "f" ? [[one.id, one] as const] : [])));
  const starts = traceEvents.flatMap((one) => (one.ph === "s" ? [one] : []));
  expect(starts.map(({ id }) => id)).toEqual([...ends.keys()]);
  for (const start of starts) {
    const end = ends.get(start.id)!;
    expect(end.ts).toBeGreaterThanOrEqual(start.ts);
    for (const { pid, tid, ts } of [start, end]) {
      const at = nanoseconds(ts);
      const inside = byThread
        .get(`${pid}/${tid}`)
        ?.some((one) => nanoseconds(one.ts) <= at && at < nanoseconds(one.ts + one.dur));
      expect({ id: start.id, inside }).toEqual({ id: start.id, inside: true });
    }
  }
  return traceEvents;
}

let directory: string;
let plan: Plan;
const trace = (...argv: string[]) => lema(["trace", ...argv], { cwd: directory });
const written = async (file: string) => check(JSON.parse(await readFile(join(directory, file), "utf8")));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-trace-"));
  await makeFiles(directory);
  plan = await makePlan(directory, { smallest: true });
  await writeFile(join(directory, "plan.json"), jsonText(plan));
  return () => rm(directory, { recursive: true });
});

it("shows the prediction of a plan: its instructions, waits and memory", async () => {
  const { exit, stdout } = await trace("plan.json", "--perfetto", "out.json");
  expect({ exit, stdout }).toEqual({
    exit: 0,
    stdout: expect.stringContaining("Wrote out.json (predicted train-step"),
  });
  const events = await written("out.json");
  const { timeline } = simulatePlan(plan);
  const slices = events.filter((one): one is Slice => one.ph === "X");
  expect(slices.map(({ name, ts, dur }) => [name, Math.round(ts * 1000), Math.round(dur * 1000)])).toEqual(
    timeline.map(({ instruction, start, end }) => [instruction.id, start, end - start]),
  );
  expect(events.filter(({ ph }) => ph === "s").length).toBeGreaterThan(10);
  const counters = events.flatMap((one) => (one.ph === "C" ? [one] : []));
  const used = counters.map(({ args }) => Object.values(args).reduce((sum, bytes) => sum + bytes, 0));
  expect(Math.max(...used)).toBeGreaterThan(0);
  expect(Math.max(...used)).toBeLessThanOrEqual(plan.budgets.ram.arena);
});

it("shows a run that was traced beside its prediction, and refuses one that was not", async () => {
  const env = { XDG_CACHE_HOME: join(directory, "cache") };
  const exec = (...argv: string[]) =>
    lema(["exec", "plan.json", "--steps", "2", ...argv], { cwd: directory, env });
  expect(await exec()).toMatchObject({ exit: 0 });
  const refused = await trace("run", "--perfetto", "none.json");
  expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining("[run.no-trace]") });
  await rm(join(directory, "run"), { recursive: true });
  expect(await exec("--trace")).toMatchObject({ exit: 0 });
  expect(await trace("run", "--perfetto", "run-trace.json")).toMatchObject({ exit: 0 });
  const events = await written("run-trace.json");
  const processes = events.flatMap((one) =>
    one.ph === "M" && one.name === "process_name" ? [one.args] : [],
  );
  expect(processes).toEqual([{ name: "measured, last train-step" }, { name: "predicted train-step" }]);
  const measured = events.filter((one): one is Slice => one.ph === "X" && one.pid === 1);
  expect(measured.map(({ name }) => name)).toEqual(plan.programs["train-step"].steady.map(({ id }) => id));
});

it("draws no arrow that would point back or hang in the air", () => {
  const span = (id: string, start: number, end: number | null) => ({
    id,
    lane: "disk" as const,
    start,
    end,
    args: {},
  });
  const file: TraceFile = perfettoTrace(
    [
      {
        name: "odd",
        spans: [
          span("early", 0, 10),
          { ...span("late", 5, 30), lane: "compute" },
          span("empty", 40, 40),
          span("cut", 50, null),
        ],
        waits: new Map([
          ["late", ["early", "empty"]],
          ["early", ["late"]],
          ["cut", ["late"]],
        ]),
        memory: null,
      },
    ],
    {},
  );
  const events = check(file);
  // `late` begins before `early` ends, and waits inside: the arrow ends where the wait does.
  expect(events.filter(({ ph }) => ph === "s" || ph === "f")).toMatchObject([{ ts: 0.009 }, { ts: 0.009 }]);
  expect(events.filter((one) => one.ph === "X" && one.args.unfinished === "yes")).toMatchObject([
    { name: "cut" },
  ]);
});

it("needs a file to write to", async () => {
  expect(await trace("plan.json")).toMatchObject({ exit: 1, stderr: expect.stringContaining("--perfetto") });
});
