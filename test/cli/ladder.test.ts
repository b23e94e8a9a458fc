/** `lema plan --ladder`: one row a budget, and what is missing where none fits. */
import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining } from "./small-training.ts";

let cwd = "";
const ladder = (...argv: string[]) =>
  lema(["plan", "recipe.yaml", "--dry-run", "--set", "memory.ram=1GiB", ...argv], { cwd });
const lines = async (...argv: string[]) => (await ladder(...argv)).stdout.trimEnd().split("\n");

beforeAll(async () => {
  cwd = await makeSmallTraining();
});

describe("--ladder", () => {
  it("starts at the least that fits and ends where nothing moves any more", async () => {
    const { exit, stdout, stderr } = await ladder("--ladder", "--json");
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const { tier, rows } = JSON.parse(stdout);
    expect(tier).toBe("ram");
    expect(rows.map(({ fits }: { fits: boolean }) => fits)).toEqual(new Array(9).fill(true));
    const [least] = rows;
    expect(least.memory.ram.total).toBe(least.memory.ram.budget);
    expect(least.traffic.disk.bytes).toBeGreaterThan(0);
    expect(rows.at(-1).memory.ram.budget).toBe(16 * 2 ** 30);
    expect(rows.at(-1).traffic.disk.bytes).toBe(0);
    expect(readdirSync(cwd).sort()).toEqual(["data.jsonl", "model", "recipe.yaml"]);
  });

  it("is a table that says the same as the plan of each budget", async () => {
    const own = await ladder("--json", "--what-if", "ram=160MiB");
    const { memory, time } = JSON.parse(own.stdout);
    const [head, row, ...rest] = await lines("--ladder", "160MiB");
    expect(head).toMatch(/^ +ram +a step +tokens\/s +from disk +ram arena +bottleneck$/);
    const ms = (time.step_ns / 1e6).toFixed(1);
    const arena = (memory.ram.arena / 2 ** 20).toFixed(2);
    expect(row).toMatch(new RegExp(`^ *160 MiB +${ms} ms +[\\d,]+ +[\\d.]+ [KM]?i?B +${arena} MiB +\\S`));
    expect(rest).toEqual([]);
  });

  it("sorts budgets, names each once, and says what those that do not fit lack", async () => {
    const rows = await lines("--ladder", "1GiB,100MiB,1GiB");
    expect(rows.map((row) => row.trim().split("  ")[0])).toEqual(["ram", "100 MiB", "1.00 GiB"]);
    expect(rows[1]).toMatch(/does not fit: lacks [\d.]+ MiB of ram$/);
    const { exit, stdout } = await ladder("--ladder", "100MiB", "--json");
    expect(exit).toBe(3);
    const [row] = JSON.parse(stdout).rows;
    expect(row).toMatchObject({ fits: false, plan_id: null, time: null });
    expect(row.memory.ram.total).toBeGreaterThan(row.memory.ram.budget);
    expect(row.diagnostics[0].code).toBe("plan.does-not-fit");
    expect(row.diagnostics[0].where).toMatchObject({ path: "memory.ram" });
  });

  it("changes the tier that computes and leaves the other as it is", async () => {
    const budgets = ["--what-if", "vram=1GiB,ram=512MiB", "--ladder", "min"];
    const [head] = await lines(...budgets);
    expect(head).toMatch(/^ +vram .* from disk +to vram +to ram +vram arena +ram arena +bottleneck$/);
    const { tier, rows } = JSON.parse((await ladder(...budgets, "--json")).stdout);
    expect(tier).toBe("vram");
    expect(rows[0].memory.vram.total).toBe(rows[0].memory.vram.budget);
    expect(rows[0].memory.ram.budget).toBe(512 * 2 ** 20);
  });

  it.each([
    [["--ladder", "2GiB,much"], "Write it as min,2GiB,6.36GB."],
    [["--ladder", "--out", "p.json"], "cannot be used with option"],
  ])("refuses %j", async (argv, reason) => {
    const { exit, stderr } = await ladder(...argv);
    expect(exit).toBe(1);
    expect(stderr).toContain(reason);
  });
});
