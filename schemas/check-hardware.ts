/** What a recipe asks of a machine, against what the machine's profile offers. Pure; runs before anything is planned. */
import { type Diagnostic, diagnostic, type Place } from "./diagnostic.ts";
import type { HardwareProfile } from "./hardware.ts";
import type { Precision, Recipe } from "./recipe.ts";
import { formatBytes } from "./units.ts";

/** The dtype of the profile that a precision computes in. */
export const PRECISION_DTYPE: Readonly<Record<Precision, "f32" | "bf16" | "f16">> = {
  f32: "f32",
  bf16: "bf16",
  fp16: "f16",
};

/** Where a recipe's key stands: `ParsedRecipe.placeOf`. */
type PlaceOf = (path: string) => Place;

/** The problems of running `recipe` on `profile`. */
export function checkHardware(recipe: Recipe, profile: HardwareProfile, placeOf: PlaceOf): Diagnostic[] {
  return [
    ...checkPrecision(recipe, profile, placeOf),
    ...checkTier(recipe, profile, placeOf),
    ...(["ram", "vram"] as const).flatMap((tier) => checkBudget(recipe, profile, placeOf, tier)),
  ];
}

function checkPrecision(recipe: Recipe, profile: HardwareProfile, placeOf: PlaceOf): Diagnostic[] {
  const { precision } = recipe.training;
  const { dtypes } = profile.compute;
  if (dtypes.includes(PRECISION_DTYPE[precision])) return [];
  const offered = (Object.keys(PRECISION_DTYPE) as Precision[]).filter((name) =>
    dtypes.includes(PRECISION_DTYPE[name]),
  );
  return [
    diagnostic("hardware.precision", {
      summary: `${profile.name} does not compute in ${precision}`,
      where: placeOf("training.precision"),
      hint: `use ${offered.map((name) => `\`${name}\``).join(" or ")}; the weights may be stored in any dtype`,
    }),
  ];
}

function checkTier(recipe: Recipe, profile: HardwareProfile, placeOf: PlaceOf): Diagnostic[] {
  if (recipe.memory.vram === null || profile.links !== undefined) return [];
  return [
    diagnostic("hardware.no-vram-tier", {
      summary: `${profile.name} has no vram tier`,
      where: placeOf("memory.vram"),
      hint: "remove `memory.vram` to plan for disk and ram only, or use a profile with `links`",
    }),
  ];
}

function checkBudget(
  recipe: Recipe,
  profile: HardwareProfile,
  placeOf: PlaceOf,
  tier: "ram" | "vram",
): Diagnostic[] {
  const budget = recipe.memory[tier];
  const installed = profile.memory[tier];
  if (budget === null || installed === undefined || budget <= installed) return [];
  return [
    diagnostic("hardware.beyond-memory", {
      severity: "warning",
      summary: `the ${tier} budget of ${formatBytes(budget)} exceeds the ${formatBytes(installed)} of ${profile.name}`,
      where: placeOf(`memory.${tier}`),
    }),
  ];
}
