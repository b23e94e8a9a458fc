/** A device's memory during a run: what loading takes, that nothing is taken since, and what is said where something is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { formatDeviceUse, overBudget } from "../../cli/render/run-memory.ts";
import { readRecord } from "../../runtime/run-directory.ts";
import { PlanSession } from "../../runtime/session.ts";
import type { Plan } from "../../schemas/plan.ts";
import { makeFiles, makePlan, run } from "./small-run.ts";

const BACKEND = "cuda-emulated";
/** cudaMalloc gives whole pages of this size. */
const PAGE = 2 ** 21;

let directory: string;
let plan: Plan;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-device-"));
  await makeFiles(directory);
  const training = "steps: 2, batch_size: 2, learning_rate: 5e-3, schedule: constant";
  plan = await makePlan(directory, { training, memory: "{ram: 1 GiB, vram: 64 MiB}" });
  return () => rm(directory, { recursive: true });
});

it("the arena is what loading takes, and a run takes nothing more", async () => {
  const { memory } = await run(directory, "alone", plan, { backend: BACKEND });
  const { planned, before, loaded, peak } = memory.device!;
  expect(planned).toBe(plan.budgets.vram!.total);
  expect(loaded - before).toBe(Math.ceil(plan.budgets.vram!.arena / PAGE) * PAGE);
  expect(peak).toBe(loaded);
  expect(overBudget({ ...memory, measured: null }, 0)).toEqual([]);
  expect(formatDeviceUse(memory.device!)).toContain("nothing since");
  const record = await readRecord(join(directory, "alone"));
  expect(record?.memory.device).toEqual({ before, loaded, peak });
  expect(record?.memory.vram).toEqual({ planned, measured: peak });
});

it("what is taken on the device during a run is seen, and said", async () => {
  const held: PlanSession[] = [];
  const hold = async (): Promise<void> => {
    if (held.length > 0) return;
    const paths = new Map(Object.entries(plan.meta.paths));
    held.push(
      await PlanSession.open(plan, paths, { backend: BACKEND, serialLanes: false, diskThrottle: null }),
    );
  };
  const { memory } = await run(directory, "beside", plan, { backend: BACKEND }, { onStep: hold });
  for (const session of held) session.close();
  const { loaded, peak } = memory.device!;
  expect(peak - loaded).toBe(Math.ceil(plan.budgets.vram!.arena / PAGE) * PAGE);
  const [warning] = overBudget({ ...memory, measured: null }, 0);
  expect(warning).toMatchObject({ code: "run.over-budget", severity: "warning" });
  expect(warning!.summary).toContain("when the plan was loaded");
  expect(formatDeviceUse(memory.device!)).toContain("more at the peak");
});

it("a run on the processor has no device to speak of", async () => {
  const { memory } = await run(directory, "cpu", plan);
  expect(memory.device).toBeNull();
});
