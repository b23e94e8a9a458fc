/** The machine that generates: a processor as `lema probe` measured it or as a shipped profile describes its kind, or a device. */
import { compileGeneration } from "../planner/compile.ts";
import { nativeDevice } from "../runtime/addon.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { HardwareProfile } from "../schemas/hardware.ts";
import type { GenerationMachine } from "../workflow/open-generation.ts";
import type { CommandContext } from "./context.ts";
import { deviceHardware, namedHardware, ownHardware } from "./load-recipe.ts";

export interface MachineRequest {
  /** Default: cpu. */
  readonly backend?: "cpu" | "cuda";
  /** A shipped profile's name, or the path of one; default: this machine's. */
  readonly hardware?: string;
}

/** Throws where a vram budget is given and the machine has no such tier, and `run.no-device` where a device is asked for. */
export function generationMachine(
  vram: number | null,
  { backend = "cpu", hardware }: MachineRequest,
  { io, version }: CommandContext,
): GenerationMachine {
  const device = backend === "cuda" ? nativeDevice(backend) : null;
  const own = (): HardwareProfile =>
    device === null
      ? ownHardware(vram === null ? "ram" : "ram and vram", io)
      : deviceHardware(device.name, io);
  const profile = hardware === undefined ? own() : namedHardware(hardware, io);
  if ((vram !== null || device !== null) && profile.links === undefined) {
    const summary = `${profile.name} has no vram tier`;
    const hint = "leave vram out of `--memory`, or name a profile with `links`: `--hardware NAME`";
    throw new DiagnosticError(diagnostic("hardware.no-vram-tier", { summary, hint }));
  }
  return {
    hardware: profile,
    lemaVersion: version,
    compile: compileGeneration,
    engine: { backend, serialLanes: false, diskThrottle: null },
    ...(device !== null && { freeVram: device.freeBytes }),
  };
}
