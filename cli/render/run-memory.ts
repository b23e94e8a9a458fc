/** What a run took of memory, beside what its plan said. */
import type { RunMemory } from "../../runtime/execute.ts";
import { type Diagnostic, diagnostic } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";

type DeviceUse = NonNullable<RunMemory["device"]>;

/** On a line. The arena is what loading took; the context is in what was in use before. */
export function formatDeviceUse({ planned, before, loaded, peak }: DeviceUse): string {
  const since = peak > loaded ? `${formatBytes(peak - loaded)} more at the peak` : "nothing since";
  return (
    `planned ${formatBytes(planned)}; in use ${formatBytes(before)} before (context, kernels, other programs), ` +
    `${formatBytes(loaded)} with the plan, ${since}`
  );
}

/** Warnings. Arenas are exactly what was planned, so that only the reserve of ram can have been too small. */
export function overBudget({ planned, measured, device }: RunMemory, reserve: number): Diagnostic[] {
  const warnings: Diagnostic[] = [];
  if (measured !== null && measured > planned) {
    const wanted = Math.ceil((reserve + measured - planned) / 2 ** 20);
    warnings.push(
      diagnostic("run.over-budget", {
        severity: "warning",
        summary: `the process took ${formatBytes(measured)} at its peak, and ${formatBytes(planned)} were planned`,
        hint: `plan with a larger part for the process: \`memory.reserve.ram: ${wanted} MiB\``,
      }),
    );
  }
  // lema takes nothing on a device once a plan is loaded.
  if (device !== null && device.peak > device.loaded) {
    warnings.push(
      diagnostic("run.over-budget", {
        severity: "warning",
        summary: `the device had ${formatBytes(device.peak)} in use after a step, and ${formatBytes(device.loaded)} when the plan was loaded`,
        hint: "look for another program on the device (`nvidia-smi`); where there is none, this is a bug in lema",
      }),
    );
  }
  return warnings;
}
