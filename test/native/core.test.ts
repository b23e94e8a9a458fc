/**
 * The native core by itself: its own tests, damaged plans, and that a step takes no memory. Everything runs in child
 * processes, where a crash is a failed test and not the end of all of them.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { encodePlan } from "../../runtime/encode.ts";
import { tiny } from "../runtime/tiny-plan.ts";

const executable = fileURLToPath(new URL("../../build/native/bin/lema_native_tests", import.meta.url));

function run(...parameters: string[]): { output: string; status: number | NodeJS.Signals | null } {
  const { stdout, stderr, status, signal } = spawnSync(executable, parameters, { encoding: "utf8" });
  return { output: `${stdout}${stderr}`, status: status ?? signal };
}

/** An encoded plan and its weights as files. */
function planFiles(options: Parameters<typeof tiny>[0]): string[] {
  const { plan, directory, file } = tiny(options);
  const path = join(directory, "plan.bin");
  writeFileSync(path, encodePlan(plan));
  return [path, file];
}

test("backends, files and digests", () => {
  const { output, status } = run();
  expect(output).toMatch(/^\d+ passed, 0 failed$/m);
  expect(status).toBe(0);
});

describe.each(["disk-ram", "disk-ram-vram"] as const)("%s", (tiers) => {
  test("a damaged plan is refused or runs, and never crashes", () => {
    const { output, status } = run("corrupt", "1500", "1", ...planFiles({ tiers, elements: 64 }));
    expect(status, output).toBe(0);
  });

  test("a run takes its arenas and little beside them, under a limit of that", () => {
    const { output, status } = run("memory", ...planFiles({ tiers, elements: 4_000_000, turns: 3 }));
    expect(status, output).toBe(0);
  });

  test("nothing is allocated during a run", () => {
    const { output, status } = run("allocations", ...planFiles({ tiers, elements: 30_000, turns: 6 }));
    expect(status, output).toBe(0);
  });
});
