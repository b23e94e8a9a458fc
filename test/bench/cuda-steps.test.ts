/** The results of a run on a GPU machine: kept after every step, also of steps that fail, hang, or come too late. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { factsOf, type Program, Steps } from "../../bench/cuda/steps.ts";

const shell = (name: string, script: string): Program => ({ name, command: ["bash", "-c", script] });

function begin(seconds: number) {
  const file = join(mkdtempSync(join(tmpdir(), "lema-steps-")), "results", "cuda.json");
  return { steps: new Steps(file, seconds), results: () => JSON.parse(readFileSync(file, "utf8")) };
}

it("keeps what each step printed, and goes on after one that fails", async () => {
  const { steps, results } = begin(60);
  const facts = '{"case": "copy", "ms": 2}';
  const ok = await steps.run({
    ...shell("copies", `echo warming up; echo '${facts}'; echo $LIMIT`),
    env: { LIMIT: "7" },
  });
  expect(ok).toMatchObject({
    status: "ok",
    output: `warming up\n${facts}\n7`,
    facts: [{ case: "copy", ms: 2 }],
  });
  expect(results().ok).toBe(true);
  expect(await steps.run(shell("broken", "echo no >&2; exit 3"))).toMatchObject({
    status: "failed",
    output: "no",
  });
  expect(await steps.run({ name: "absent", command: ["/no/such/program"] })).toMatchObject({
    status: "failed",
  });
  steps.summarize({ tokens: 5 });
  expect(results()).toMatchObject({
    ok: false,
    summary: { tokens: 5 },
    steps: [{ name: "copies" }, { name: "broken" }, { name: "absent" }],
  });
});

it("takes a step that did nothing for one that failed", async () => {
  const { steps } = begin(60);
  const tests = { ...shell("tests", "echo 'Tests  10 skipped (10)'"), expects: /Tests +.*\d+ passed/ };
  expect(await steps.run(tests)).toMatchObject({ status: "failed" });
  const passed = { ...shell("tests", "echo 'Tests  5 passed | 5 skipped (10)'"), expects: tests.expects };
  expect(await steps.run(passed)).toMatchObject({ status: "ok" });
});

it("ends what runs when the time is over, with all that it started, and begins nothing more", async () => {
  const { steps, results } = begin(6);
  const hung = await steps.run(shell("hangs", "echo begun; sleep 60 & wait"));
  expect(hung.status).toBe("failed");
  expect(hung.output).toMatch(/^begun\n+stopped after \d s/);
  expect(await steps.run(shell("next", "true"))).toMatchObject({ status: "late", facts: [] });
  expect(results().steps).toHaveLength(2);
});

it("finds facts line by line, or in a text that is one", () => {
  expect(factsOf('{\n "tokens_per_second": 3\n}\n')).toEqual([{ tokens_per_second: 3 }]);
  expect(factsOf('{"a": 1}\nnot {"b": 2}\n{"c": 3}\n[4]\n{broken')).toEqual([{ a: 1 }, { c: 3 }]);
});
