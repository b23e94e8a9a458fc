/** The machine that generates: this one, as `lema probe` measured it or as a shipped profile describes its kind. */
import { compileGeneration } from "../planner/compile.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { GenerationMachine } from "../workflow/open-generation.ts";
import type { CommandContext } from "./context.ts";
import { ownHardware } from "./load-recipe.ts";

/** Throws where a vram budget is given, and the machine has no such tier. */
export function generationMachine(
  { memory }: { readonly memory: { readonly vram: number | null } },
  { io, version }: CommandContext,
): GenerationMachine {
  const profile = ownHardware(memory.vram === null ? "ram" : "ram and vram", io);
  if (memory.vram !== null && profile.links === undefined) {
    const summary = `${profile.name} has no vram tier`;
    const hint = "leave vram out of `--memory`, or write `links` into the profile that `lema probe` made";
    throw new DiagnosticError(diagnostic("hardware.no-vram-tier", { summary, hint }));
  }
  return {
    hardware: profile,
    lemaVersion: version,
    compile: compileGeneration,
    engine: { backend: "cpu", serialLanes: false, diskThrottle: null },
  };
}
