import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compareValues } from "../../cli/diff/compare-values.ts";
import { movedCount } from "../../cli/diff/moved-count.ts";
import { diffPlans, type PlanDiff } from "../../cli/diff/plan-diff.ts";
import type { Plan } from "../../schemas/plan.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd = "";
let made: Plan;
const diff = (...argv: string[]) => lema(["diff", ...argv], { cwd });

beforeAll(async () => {
  cwd = await makeSmallTraining();
  const plan = (...argv: string[]) => lema(["plan", "recipe.yaml", ...argv], { cwd });
  await plan();
  await plan("-o", "rate.json", "--set", "training.learning_rate=2e-3");
  await plan("-o", "roomy.json", "--what-if", "ram=140MiB");
  made = JSON.parse(planText(cwd));
});

describe("lema diff", () => {
  it("says that a plan is itself, also through its run directory", async () => {
    const { exit, stdout } = await diff("runs/small", "runs/small/plan.json", "--exit-code");
    expect({ exit, stdout }).toEqual({
      exit: 0,
      stdout: `runs/small and runs/small/plan.json are the same plan\n${made.plan_id}\n`,
    });
  });

  it("names the changed input first, and exits with 2 only when asked", async () => {
    const { exit, stdout } = await diff("runs/small/plan.json", "rate.json", "--exit-code");
    expect(exit).toBe(2);
    expect(stdout).toMatch(/\nInputs\n {2}recipe\.training\.learning_rate +0\.001 +→ +0\.002\n/);
    expect(stdout).toMatch(/\nMemory, traffic, time\n {2}unchanged\n/);
    expect(stdout).not.toContain("Instructions of");
    expect((await diff("runs/small/plan.json", "rate.json")).exit).toBe(0);
  });

  it("shows what more memory does: figures, then instructions by id", async () => {
    const { stdout } = await diff("runs/small/plan.json", "roomy.json");
    const order = [
      "Inputs",
      "Memory, traffic, time",
      "Decisions",
      "Instructions of train-step",
      "Everything else",
    ];
    const places = order.map((title) => stdout.indexOf(`\n${title}`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(stdout).toMatch(/memory\.ram\.budget +130 MiB \(136314880\) +→ +140 MiB \(146800640\) +\+7\.7 %/);
    expect(stdout).toMatch(/traffic\.disk\.bytes .*−\d+/);

    const { instructions }: PlanDiff = JSON.parse((await diff("runs/small", "roomy.json", "--json")).stdout);
    const other = planAt("roomy.json");
    const [before, after] = [made, other].map(
      (plan) => new Map(plan.programs["train-step"].steady.map((one) => [one.id, JSON.stringify(one)])),
    );
    const steady = instructions.find(({ part }) => part === "train-step steady")!;
    expect(steady.removed).toEqual([...before!.keys()].filter((id) => !after!.has(id)));
    expect(steady.added).toEqual([...after!.keys()].filter((id) => !before!.has(id)));
    const changed = [...before!].filter(([id, text]) => after!.has(id) && after!.get(id) !== text);
    expect(steady.changed.map(({ id }) => id)).toEqual(changed.map(([id]) => id));
  });

  it("refuses what is no plan", async () => {
    expect((await diff("runs/small", "recipe.yaml")).stderr).toContain("[plan.syntax]");
  });
});

function planAt(file: string): Plan {
  return JSON.parse(readFileSync(join(cwd, file), "utf8"));
}

describe("diffPlans", () => {
  it("sees every leaf of a plan that an id covers", () => {
    const leaves = leafPaths(made).filter(([first]) => !["plan_id", "estimate_id", "meta"].includes(first!));
    fc.assert(
      fc.property(fc.constantFrom(...leaves), (path) => {
        const other = structuredClone(made);
        mutate(other, path);
        expect({ path, same: diffPlans(made, other).same }).toEqual({ path, same: false });
      }),
      { numRuns: 150, seed: 7 },
    );
  });

  it("does not see paths, which are no part of a plan", () => {
    const moved = {
      ...made,
      meta: { ...made.meta, paths: { "model.safetensors": "/elsewhere" }, output: "x" },
    };
    expect(diffPlans(made, moved).same).toBe(true);
  });

  it("tells one more wait and another order from other work", () => {
    const other = structuredClone(made);
    const { steady } = other.programs["train-step"];
    const waiting = steady.find(({ waits }) => waits.length > 0)!;
    const [wait] = waiting.waits.splice(0, 1);
    steady.push(steady.shift()!);
    const [part] = diffPlans(made, other).instructions;
    expect(part).toMatchObject({ added: [], removed: [], moved: 1 });
    expect(part!.changed).toEqual([
      {
        id: waiting.id,
        changes: [{ path: `waits.${wait!.on}`, before: `at call ${wait!.at}`, after: undefined }],
      },
    ]);
  });
});

it("compares lists of named things by name, and others as a whole", () => {
  const before = {
    list: [
      { id: "a", n: 1 },
      { id: "b", n: 2 },
    ],
    plain: [1, 2],
    same: { x: [3] },
  };
  const after = {
    list: [
      { id: "b", n: 3 },
      { id: "a", n: 1 },
    ],
    plain: [1],
    same: { x: [3] },
  };
  expect(compareValues(before, after)).toEqual([
    { path: "list[b].n", before: 2, after: 3 },
    { path: "plain", before: [1, 2], after: [1] },
  ]);
});

it("counts the fewest moves", () => {
  expect(movedCount([])).toBe(0);
  expect(movedCount([0, 1, 2])).toBe(0);
  expect(movedCount([2, 0, 1])).toBe(1);
  const longest = (places: readonly number[]): number => {
    const best: number[] = [];
    places.forEach((place, index) => {
      best[index] = 1 + Math.max(0, ...best.filter((_, earlier) => places[earlier]! < place));
    });
    return Math.max(0, ...best);
  };
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(50), { maxLength: 20 }), (places) => {
      expect(movedCount(places)).toBe(places.length - longest(places));
    }),
    { seed: 3 },
  );
});

type Path = readonly string[];

function leafPaths(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leafPaths(inner, [...path, key]));
}

function mutate(root: object, path: Path): void {
  const parent = path
    .slice(0, -1)
    .reduce((at, key) => at[key] as Record<string, unknown>, root as Record<string, unknown>);
  const key = path.at(-1)!;
  const value = parent[key];
  parent[key] = typeof value === "number" ? value + 1 : typeof value === "boolean" ? !value : `${value}?`;
}
