import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { namedHardware } from "../../cli/load-recipe.ts";
import { checkSpeed } from "../../cli/slower-machine.ts";
import type { Plan } from "../../schemas/plan.ts";
import { directoryWith } from "./run-in-process.ts";

const profile = (matrix: string, disk: string) => `name: mine
compute: {kind: cpu, threads: 8, matrix_rate: {f32: ${matrix}}, memory_bandwidth: 50 GB/s}
disk: {bandwidth: ${disk}, latency_ns: 50000, direct_io: true}
memory: {ram: 32 GiB}
reserve: {ram: 256 MiB}
`;

/** What `exec` says on a machine that was probed with these rates, of a plan for 1 TFLOP/s and 3 GB/s. */
function checked(matrix: string, disk: string) {
  const cwd = directoryWith({
    "config/lema/hardware.yaml": profile(matrix, disk),
    "planned.yaml": profile("1 TFLOP/s", "3 GB/s"),
  });
  const machine = { cwd, env: { XDG_CONFIG_HOME: join(cwd, "config") } };
  const hardware = namedHardware("./planned.yaml", machine);
  return { machine, plan: { meta: { hardware } } as unknown as Plan };
}

describe("a plan on another machine", () => {
  it("is warned of with every rate that is lower than it was planned with", () => {
    const { plan, machine } = checked("500 GFLOP/s", "1 GB/s");
    const [warning, ...others] = checkSpeed(plan, machine);
    expect(others).toEqual([]);
    expect(warning).toMatchObject({ code: "hardware.slower", severity: "warning" });
    expect(warning!.detail).toContain("matrix_rate.f32: 50 % of what was planned with");
    expect(warning!.detail).toContain("disk.bandwidth: 33 %");
    expect(warning!.detail).not.toContain("memory_bandwidth");
  });

  it("is not where the machine is about as fast, faster, or was not probed", () => {
    const same = checked("900 GFLOP/s", "30 GB/s");
    expect(checkSpeed(same.plan, same.machine)).toEqual([]);
    const slow = checked("1 GFLOP/s", "1 GB/s");
    expect(checkSpeed(slow.plan, { ...slow.machine, env: { HOME: slow.machine.cwd } })).toEqual([]);
  });
});
