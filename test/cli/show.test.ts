import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { memoryMap, type Occupation } from "../../cli/render/memory-map.ts";
import { bindingChain, slacks } from "../../cli/render/plan-binding.ts";
import { simulate } from "../../planner/simulate/simulate.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { Plan } from "../../schemas/plan.ts";
import { formatNanoseconds } from "../../schemas/units.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd = "";
let made: Plan;
const show = (...argv: string[]) => lema(["show", "runs/small/plan.json", ...argv], { cwd });

beforeAll(async () => {
  cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
  made = JSON.parse(planText(cwd));
});

it("prints the summary and a row for every unit and the embedding", async () => {
  const { exit, stdout } = await show();
  expect(exit).toBe(0);
  expect(stdout).toContain("\nMemory\n");
  const rows = stdout.slice(stdout.indexOf("Layers")).trim().split("\n").slice(2);
  expect(rows.map((row) => row.trim().split(/\s+/)[0])).toEqual([
    // A gathered embedding is no unit, but has its row.
    ...new Set([...made.units.map(({ id }) => id), "embedding"]),
  ]);
});

it("counts loads as the instructions have them", async () => {
  const { weights } = JSON.parse((await show("--json")).stdout);
  const moved = made.programs["train-step"].steady.reduce(
    (sum, one) => sum + (one.kind === "read" ? one.bytes : 0),
    0,
  );
  const counted = weights.reduce((sum: number, row: { loads: number; bytes: number }) => {
    return sum + row.loads * row.bytes;
  }, 0);
  expect(moved).toBeGreaterThan(0);
  expect(counted).toBe(moved);
});

describe("--instructions", () => {
  it("lists the step in serial order", async () => {
    const { stdout } = await show("--instructions");
    const lines = stdout.trim().split("\n").slice(2);
    expect(lines).toHaveLength(made.programs["train-step"].steady.length);
    made.programs["train-step"].steady.forEach(({ id, lane }, index) => {
      expect(lines[index]).toMatch(new RegExp(`^ +${index} +${lane} `));
      expect(lines[index]).toContain(` ${id}`);
    });
  });

  it("takes one lane of one program", async () => {
    const { stdout } = await show("--program", "evaluate", "--lane", "disk");
    const wanted = made.programs.evaluate.steady.filter(({ lane }) => lane === "disk");
    expect(stdout.trim().split("\n").slice(2)).toHaveLength(wanted.length);
  });
});

describe("--why", () => {
  it("names work, bytes, and the bytes behind each wait", async () => {
    const waiting = made.programs["train-step"].steady.find(
      ({ kind, waits, lane }) =>
        kind === "run" && lane === "compute" && waits.some(({ on }) => on.startsWith("read/")),
    )!;
    const { stdout } = await show("--why", waiting.id);
    expect(stdout).toContain(`${waiting.id}  run on compute; train-step, steady`);
    for (const { on } of waiting.waits) expect(stdout).toContain(`for ${on} on `);
    expect(stdout).toMatch(/it reads what that writes:\n +slot\/\S+ /);
    expect(stdout).toMatch(/procedure \S+ with the weights of/);
  });

  it("finds bytes behind every wait of the plan", async () => {
    const ids = made.programs["train-step"].steady
      .filter(({ waits }) => waits.length > 0)
      .map(({ id }) => id);
    for (const id of ids.slice(0, 12)) {
      const { stdout } = await show("--why", id);
      const reasons = stdout.match(/because\n +it (?:reads|overwrites) what/g) ?? [];
      expect({ id, reasons: reasons.length }).toEqual({ id, reasons: stdout.match(/, because$/gm)!.length });
    }
  });

  it("suggests the nearest instruction", async () => {
    const { exit, stderr } = await show("--why", "fwd/L01/mb");
    expect(exit).toBe(1);
    expect(stderr).toContain("the plan has no instruction `fwd/L01/mb`");
    expect(stderr).toContain("did you mean `fwd/L01/mb0`?");
  });
});

describe("--why, the binding constraint", () => {
  const why = async (id: string) => (await show("--why", id)).stdout;

  it("is the wait that ended last, with the bytes it is about", async () => {
    const stalled = simulatePlan(made).timeline.filter(({ stall }) => stall !== null);
    expect(stalled.length).toBeGreaterThan(4);
    for (const { instruction, stall } of stalled.slice(0, 4)) {
      const [line] = (await why(instruction.id)).match(/bound by (?:memory|data): .*/)!;
      expect(line).toContain(` by ${stall!.cause} on `);
      expect(line).toContain(`stands still for ${formatNanoseconds(stall!.ns)}`);
    }
  });

  it("is a slot in use where a load waits for the last reader of what it replaces", async () => {
    const { timeline } = simulatePlan(made);
    const load = timeline.find(
      ({ instruction, stall }) => instruction.kind === "read" && stall?.cause.startsWith("bwd/"),
    )!;
    expect(await why(load.instruction.id)).toMatch(/bound by memory: slot\/\w+\/\d+ is in use by bwd\//);
  });

  it("is the lane where the one before it ends when it starts, and nothing at the start", async () => {
    const { timeline } = simulatePlan(made);
    expect(await why(timeline[0]!.instruction.id)).toContain("bound by nothing: it starts with the step");
    const compute = timeline.filter(({ instruction }) => instruction.lane === "compute");
    const at = compute.findIndex(({ start, stall }, index) => index > 0 && start > 0 && stall === null);
    const expected = `bound by its lane: compute is busy with ${compute[at - 1]!.instruction.id} until then`;
    expect(await why(compute[at]!.instruction.id)).toContain(expected);
  });
});

describe("slack", () => {
  it("is the most that an instruction may take longer without a longer step", () => {
    const simulation = simulatePlan(made);
    const known = slacks(simulation);
    const durationOf = new Map(simulation.timeline.map((one) => [one.instruction.id, one.end - one.start]));
    const { steady } = made.programs["train-step"];
    for (const { id } of steady.filter((_, index) => index % 5 === 0)) {
      const slack = known.get(id)!;
      const longer = (extra: number): number =>
        simulate(steady, (one) => durationOf.get(one.id)! + (one.id === id ? extra : 0)).duration;
      expect({ id, duration: longer(slack) }).toEqual({ id, duration: simulation.duration });
      expect(longer(slack + 1)).toBe(simulation.duration + 1);
    }
  });

  it("is nothing along the chain that ends with the step, whose parts leave no gap", () => {
    const simulation = simulatePlan(made);
    const last = simulation.timeline.find(({ end }) => end === simulation.duration)!;
    const chain = bindingChain(simulation, last.instruction.id);
    const known = slacks(simulation);
    expect(chain.map(({ instruction }) => known.get(instruction.id))).toEqual(chain.map(() => 0));
    expect(chain[0]!.start).toBe(0);
    chain.slice(1).forEach(({ start }, index) => {
      expect(start).toBe(chain[index]!.end);
    });
  });
});

describe("--layer", () => {
  it("alone is the table of layers", async () => {
    const { stdout } = await show("--layer");
    expect(stdout).toMatch(/^Layers /);
    expect((await show()).stdout.endsWith(stdout)).toBe(true);
  });

  it("lists the instructions of one unit", async () => {
    const { stdout } = await show("--layer", "L01");
    const own = made.programs["train-step"].steady.filter((one) => "unit" in one && one.unit === "L01");
    expect(own.map(({ id }) => id)).toEqual(expect.arrayContaining(["fwd/L01/mb0", "bwd/L01/mb0"]));
    const rows = stdout.trim().split("\n").slice(2);
    expect(rows.map((row) => row.trim().split(/\s+/).at(-1))).toEqual(own.map(({ id }) => id));
  });

  it("suggests the nearest unit", async () => {
    const { exit, stderr } = await show("--layer", "L0");
    expect({ exit, stderr }).toMatchObject({ exit: 1, stderr: expect.stringContaining("no unit `L0`") });
  });
});

describe("--at", () => {
  it.each(["0%", "37.5 %", "100%"])("accounts for every byte at %s, once", async (moment) => {
    const { stdout } = await show("--at", moment);
    const rows = [...stdout.matchAll(/^ +(\d+) +(\d+) {2}/gm)].map(([, from, to]) => [
      Number(from),
      Number(to),
    ]);
    expect(rows[0]![0]).toBe(0);
    expect(rows.at(-1)![1]).toBe(made.budgets.ram.arena);
    rows.slice(1).forEach(([from], index) => {
      expect(from).toBe(rows[index]![1]);
    });
  });

  it("takes an instruction's start, and says what runs then", async () => {
    const { timeline } = simulatePlan(made);
    const { instruction, start } = timeline.find((one) => one.instruction.id.startsWith("bwd/"))!;
    const { stdout } = await show("--at", instruction.id);
    expect(stdout).toContain(`  ${instruction.lane}  ${instruction.id}\n`);
    const { at, arenas } = JSON.parse((await show("--at", instruction.id, "--json")).stdout);
    expect(at).toBe(start);
    const alive = arenas.flatMap(({ holds }: { holds: { buffer: string }[] }) =>
      holds.map(({ buffer }) => buffer),
    );
    expect(alive).toEqual(
      expect.arrayContaining([...instruction.reads, ...instruction.writes].map(({ buffer }) => buffer)),
    );
  });

  it.each([
    ["101%", "beyond the end"],
    ["fwd/L01/mb", "did you mean `fwd/L01/mb0`?"],
  ])("refuses %s", async (moment, words) => {
    const { exit, stderr } = await show("--at", moment);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringContaining(words) });
  });
});

describe("the memory map", () => {
  it("never puts two things in one byte at one moment, and loses no byte that is touched", () => {
    for (const program of ["train-step", "evaluate"] as const) {
      const { occupations, timeline } = memoryMap(made, program);
      const clashes = occupations.flatMap((a, index) =>
        occupations
          .slice(index + 1)
          .filter((b) => overlap(a, b))
          .map((b) => [a.buffer, b.buffer]),
      );
      expect(clashes).toEqual([]);
      for (const { instruction, start, end } of timeline) {
        for (const { buffer } of [...instruction.reads, ...instruction.writes]) {
          const own = occupations.filter(
            (one) => one.buffer === buffer && one.start < end && start < one.end,
          );
          expect({ id: instruction.id, buffer, alive: own.length > 0 || start === end }).toMatchObject({
            alive: true,
          });
        }
      }
    }
  });

  it("says which unit a slot holds whenever a computation reads it", () => {
    const { occupations, timeline } = memoryMap(made, "train-step");
    const slots = new Set(
      occupations.filter(({ holding }) => holding === "ring").map(({ buffer }) => buffer),
    );
    expect(slots.size).toBeGreaterThan(1);
    const wrong = timeline.flatMap(({ instruction, start }) => {
      if (instruction.kind !== "run" || instruction.unit === null) return [];
      return instruction.reads.flatMap(({ buffer }) => {
        const held = occupations.find(
          (one) => one.buffer === buffer && one.start <= start && start < one.end,
        );
        if (held?.unit === undefined || held.unit === null) return [];
        return held.unit === instruction.unit && held.loading === null ? [] : [[instruction.id, held]];
      });
    });
    expect(wrong).toEqual([]);
  });
});

function overlap(a: Occupation, b: Occupation): boolean {
  const bytes = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return a.arena === b.arena && bytes && a.start < b.end && b.start < a.end;
}

it("predicts what the plan predicts", () => {
  const { step_ns } = made.predictions.find(({ program }) => program === "train-step")!;
  expect(simulatePlan(made).duration).toBe(step_ns);
});

it("shows nothing of a plan that does not verify", async () => {
  const forged = { ...made, training: { ...made.training, learning_rate: 1 } };
  writeFileSync(join(cwd, "forged.json"), JSON.stringify(forged));
  const { exit, stdout, stderr } = await lema(["show", "forged.json"], { cwd });
  expect({ exit, stdout }).toEqual({ exit: 5, stdout: "" });
  expect(stderr).toContain("[verify.plan-id]");
});
