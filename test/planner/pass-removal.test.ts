/**
 * No pass can be left out: the pipeline of `compile.ts` runs with the result of one pass replaced by what came before
 * it, or robbed of its guarantee, and a named check notices. The passes' insides are not known here, only their names.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Compiled, compile } from "../../planner/compile.ts";
import { PassRunner } from "../../planner/pass.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { verify } from "../../schemas/verify/index.ts";
import { toyInputs } from "./toy.ts";

/** What becomes of a pass's result, which is not used again. */
type Weaken = (result: unknown) => unknown;
type Weakened = Readonly<Record<string, Weaken>>;

/** What streams most: the smallest plan. */
const streaming = (): Inputs => toyInputs({ ram: smallestMemory(toyInputs()).ram!.total });

afterEach(() => vi.restoreAllMocks());

function compileWith(weakened: Weakened, inputs: Inputs): Compiled {
  const { run } = PassRunner.prototype;
  const ran: string[] = [];
  const replacement = function (this: PassRunner, name: string, pass: () => unknown): unknown {
    ran.push(name);
    const result = run.call(this, name, pass);
    return weakened[name] === undefined ? result : weakened[name](result);
  };
  vi.spyOn(PassRunner.prototype, "run").mockImplementation(replacement as typeof run);
  const compiled = compile(inputs);
  vi.restoreAllMocks();
  expect(ran).toEqual(expect.arrayContaining(Object.keys(weakened)));
  return compiled;
}

/** Codes of what the verifier finds; empty for a plan that it accepts. */
function noticed(weakened: Weakened, inputs = streaming()): string {
  return compileWith(weakened, inputs)
    .diagnostics.map(({ code }) => code)
    .join(" ");
}

/** Changes objects of a result in place, however deep they stand. */
const each =
  (change: (object: Record<string, unknown>) => void): Weaken =>
  (result) => {
    const seen = new Set<object>();
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null || seen.has(value)) return;
      seen.add(value);
      if (!Array.isArray(value) && !(value instanceof Map)) change(value as Record<string, unknown>);
      for (const inner of value instanceof Map ? value.values() : Object.values(value)) visit(inner);
    };
    visit(result);
    return result;
  };

/** Sets a key wherever it stands. */
const set = (key: string, value: unknown): Weaken =>
  each((object) => {
    if (Object.hasOwn(object, key)) object[key] = value;
  });

/** Takes tasks out of every list. */
const without = (wanted: RegExp): Weaken =>
  each((object) => {
    for (const [key, list] of Object.entries(object)) {
      if (Array.isArray(list)) object[key] = list.filter((one) => !wanted.test(`${one?.id}`));
    }
  });

const nothing: Weaken = () => [];

describe("a plan is refused when its compiler", () => {
  it.each<[string, string, Weaken, string]>([
    [
      "units",
      "puts the tensors of a unit in one place",
      each((part) => {
        if ("tensor" in part && "at" in part) part.at = 0;
      }),
      "verify.unit",
    ],
    ["expand-step", "forgets a backward", without(/^bwd\/L03.*\/mb0/), "verify.semantics"],
    ["residency", "forgets a load", without(/^read\/L04/), "verify.contents"],
    ["roll", "has no prologue", set("prologue", []), "verify.residency"],
    ["layout", "gives every buffer the same address", set("offset", 0), "verify.overlap"],
    ["sync", "has no waits", set("waits", []), "verify.race"],
    ["emit", "hides what an instruction writes", set("writes", []), "verify.effects"],
    ["bound-traffic", "has no bounds", nothing, "verify.bound"],
  ])("%s: %s", (pass, _, weaken, code) => {
    expect(noticed({})).toBe("");
    expect(noticed({ [pass]: weaken })).toContain(code);
  });

  it("seal: does not seal, which whoever opens the plan notices", () => {
    const opened = (weakened: Weakened) =>
      verify(compileWith(weakened, streaming()).plan).map(({ code }) => code);
    expect(opened({})).toEqual([]);
    const other = set("plan_id", `sha256:${"0".repeat(64)}`);
    expect(opened({ seal: other })).toEqual(["verify.plan-id"]);
  });

  it("choose-shape: takes the shape of a roomier machine", () => {
    let roomy: object = {};
    const remember: Weaken = (choice) => {
      roomy = { shape: (choice as { shape: object }).shape };
      return choice;
    };
    expect(noticed({ "choose-shape": remember }, toyInputs())).toBe("");
    const swap: Weaken = (choice) => ({ ...(choice as object), ...roomy });
    expect(noticed({ "choose-shape": swap })).toContain("verify.budget");
  });
});

describe("what a plan promises is lost when its compiler", () => {
  it("feasible: does not ask what is needed; nobody else can name the smallest budget", () => {
    const small = toyInputs({ ram: 4096 });
    expect(compile(small).diagnostics[0]?.summary).toMatch(/at least \d+ bytes/);
    let summary: string | undefined;
    try {
      summary = compileWith({ feasible: nothing }, small).diagnostics[0]?.summary;
    } catch (error) {
      summary = (error as Error).message;
    }
    expect(summary).not.toMatch(/at least \d+ bytes/);
  });

  it("prefetch: leaves loads where they are needed; none is issued earlier", () => {
    let before: unknown;
    const keep: Weaken = (resident) => {
      before = resident;
      return resident;
    };
    const unmoved = compileWith({ residency: keep, prefetch: () => before }, streaming());
    expect(unmoved.diagnostics).toEqual([]);
    const places = ({ plan }: Compiled) =>
      plan!.programs["train-step"].steady.flatMap(({ kind }, place) => (kind === "read" ? [place] : []));
    const [late, early] = [places(unmoved), places(compile(streaming()))];
    expect(early).toHaveLength(late.length);
    expect(early.every((place, load) => place <= late[load]!)).toBe(true);
    expect(early.some((place, load) => place < late[load]!)).toBe(true);
  });

  it("simulate: predicts nothing; every program that does something has a time and its bound", () => {
    const { plan } = compile(streaming());
    const busy = Object.entries(plan!.programs).filter(([, { steady }]) => steady.length > 0);
    expect(plan!.predictions.map(({ program }) => program)).toEqual(busy.map(([program]) => program));
    for (const { step_ns, bound_ns } of plan!.predictions) {
      expect(bound_ns).toBeGreaterThan(0);
      expect(step_ns).toBeGreaterThanOrEqual(bound_ns);
    }
  });

  it("verify: believes itself; a plan without waits passes", () => {
    expect(noticed({ sync: set("waits", []), verify: nothing })).toBe("");
  });
});
