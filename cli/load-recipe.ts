/** Recipes and hardware profiles from files; every problem is a diagnostic, of these and of their combination. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { checkHardware } from "../schemas/check-hardware.ts";
import { type Diagnostic, DiagnosticError, diagnostic, exitCodeOf } from "../schemas/diagnostic.ts";
import { type HardwareProfile, parseHardware } from "../schemas/hardware.ts";
import { type ParsedRecipe, parseRecipe, type Recipe } from "../schemas/recipe.ts";
import { type BudgetText, withBudgets } from "./budgets.ts";
import type { CliIo } from "./io.ts";
import { packageRoot } from "./package.ts";

type Machine = Pick<CliIo, "env" | "cwd">;

export interface LoadedRecipe {
  readonly recipe: Recipe;
  readonly hardware: HardwareProfile;
  /** Warnings only. */
  readonly diagnostics: readonly Diagnostic[];
  readonly placeOf: ParsedRecipe["placeOf"];
}

/**
 * Reads and checks a recipe and its machine; throws all problems at once as one {@link DiagnosticError}. `budgets` take the
 * place of the recipe's own once it is found to be right: whether they suffice is for the planner to say.
 */
export function loadRecipe(
  file: string,
  overrides: readonly string[],
  machine: Machine,
  budgets: readonly BudgetText[] = [],
): LoadedRecipe {
  const loaded = tryLoadRecipe(file, overrides, machine, budgets);
  if (!("recipe" in loaded)) throw new DiagnosticError(loaded.diagnostics);
  return loaded;
}

/** As {@link loadRecipe}, with the problems as a value. */
export function tryLoadRecipe(
  file: string,
  overrides: readonly string[],
  machine: Machine,
  budgets: readonly BudgetText[] = [],
): LoadedRecipe | { readonly diagnostics: readonly Diagnostic[] } {
  const content = readText(file, machine);
  if (typeof content !== "string") return { diagnostics: [content] };
  const parsed = parseRecipe(content, { file, overrides });
  const { recipe: written, hardware = "auto", diagnostics, placeOf } = parsed;
  if (written === undefined) {
    const named =
      hardware === "auto" ? [] : findNamedHardware(hardware, placeOf("hardware"), machine).diagnostics;
    return { diagnostics: [...diagnostics, ...named] };
  }
  const recipe = { ...written, memory: withBudgets(written.memory, budgets) };
  const found = findHardware(recipe, placeOf, machine);
  if (!("profile" in found)) return { diagnostics: [...diagnostics, ...found.diagnostics] };
  const all = [...diagnostics, ...found.diagnostics, ...checkHardware(recipe, found.profile, placeOf)];
  return exitCodeOf(all) === 0
    ? { recipe, hardware: found.profile, diagnostics: all, placeOf }
    : { diagnostics: all };
}

/** Where `lema probe` keeps the profile of this machine's processor, and that of its device. */
export function probedProfilePath(env: CliIo["env"], kind: HardwareProfile["compute"]["kind"]): string {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(config, "lema", kind === "cpu" ? "hardware.yaml" : "hardware-cuda.yaml");
}

/** The shipped profiles' names, sorted. */
export function shippedProfiles(): string[] {
  return readdirSync(profileDirectory())
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => name.slice(0, -".yaml".length))
    .sort();
}

function findHardware(
  recipe: Recipe,
  placeOf: ParsedRecipe["placeOf"],
  machine: Machine,
): { profile: HardwareProfile; diagnostics: readonly Diagnostic[] } | { diagnostics: readonly Diagnostic[] } {
  const name = recipe.hardware;
  return name === "auto"
    ? findOwnHardware(recipe, placeOf, machine)
    : findNamedHardware(name, placeOf("hardware"), machine);
}

function findNamedHardware(name: string, where: Diagnostic["where"], machine: Machine) {
  if (/[/\\]|\.ya?ml$/.test(name)) return readProfile(name, machine);
  if (shippedProfiles().includes(name)) return readProfile(shippedPath(name), machine);
  return {
    diagnostics: [
      diagnostic("hardware.not-found", {
        summary: `there is no hardware profile \`${name}\``,
        ...(where && { where }),
        hint: `shipped are ${shippedProfiles().join(", ")}; or give a path to a profile`,
      }),
    ],
  };
}

/** A shipped profile by its name, or one by its path. Throws what is wrong with it. */
export function namedHardware(name: string, machine: Machine): HardwareProfile {
  return orThrow(findNamedHardware(name, undefined, machine));
}

/**
 * The probed profile, else the shipped one of a CUDA device, such as `Tesla T4`. Throws `hardware.not-found` where there is
 * neither.
 */
export function deviceHardware(device: string, machine: Machine): HardwareProfile {
  const probed = probedProfilePath(machine.env, "cuda");
  if (existsSync(probed)) return orThrow(readProfile(probed, machine));
  const plain = device.toLowerCase().replaceAll(" ", "");
  const profiles = shippedProfiles()
    .map((name) => namedHardware(name, machine))
    .filter(({ compute }) => compute.kind === "cuda");
  const found = profiles.find(({ name }) => plain.includes(name));
  if (found !== undefined) return found;
  throw new DiagnosticError(
    diagnostic("hardware.not-found", {
      summary: `no profile ships for ${device}`,
      hint: `name the nearest with \`--hardware\`: ${profiles.map(({ name }) => name).join(", ")}, or the path of one`,
    }),
  );
}

/** The processor's probed profile, else a shipped one, with or without a vram tier. Throws what is wrong with it. */
export function ownHardware(tiers: "ram" | "ram and vram", machine: Machine): HardwareProfile {
  const probed = probedProfilePath(machine.env, "cpu");
  return orThrow(readProfile(existsSync(probed) ? probed : shippedPath(SHIPPED_FOR[tiers]), machine));
}

function orThrow(found: ReturnType<typeof readProfile>): HardwareProfile {
  if (!("profile" in found)) throw new DiagnosticError(found.diagnostics);
  return found.profile;
}

/** What stands in for a machine that was not measured. */
const SHIPPED_FOR = { ram: "cpu-2core", "ram and vram": "cpu-emulated-gpu" } as const;

/**
 * The device's probed profile where the recipe has a vram budget, else the processor's; else a shipped one of the shape
 * that the recipe asks for, with a warning.
 */
function findOwnHardware(recipe: Recipe, placeOf: ParsedRecipe["placeOf"], machine: Machine) {
  const kinds = recipe.memory.vram === null ? (["cpu"] as const) : (["cuda", "cpu"] as const);
  const probed = kinds.map((kind) => probedProfilePath(machine.env, kind)).find(existsSync);
  if (probed !== undefined) return readProfile(probed, machine);
  const name = SHIPPED_FOR[recipe.memory.vram === null ? "ram" : "ram and vram"];
  const found = readProfile(shippedPath(name), machine);
  const warning = diagnostic("hardware.not-probed", {
    severity: "warning",
    summary: `this machine has not been measured; predictions are those of ${name}`,
    where: placeOf("hardware"),
    hint: "run `lema probe` once, or name a profile in `hardware`",
  });
  return { ...found, diagnostics: [...found.diagnostics, warning] };
}

function readProfile(
  file: string,
  machine: Machine,
): { profile: HardwareProfile; diagnostics: readonly Diagnostic[] } | { diagnostics: readonly Diagnostic[] } {
  const content = readText(file, machine);
  if (typeof content !== "string") return { diagnostics: [content] };
  const { profile, diagnostics } = parseHardware(content, { file });
  return profile === undefined ? { diagnostics } : { profile, diagnostics };
}

/** The text of a file, or why it cannot be read. */
function readText(file: string, { cwd }: Machine): string | Diagnostic {
  try {
    const bytes = readFileSync(isAbsolute(file) ? file : resolve(cwd, file));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "it does not exist",
      EISDIR: "it is a directory",
      EACCES: "permission denied",
      ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text",
    };
    return diagnostic("cli.unreadable-file", {
      summary: `cannot read ${file}: ${reasons[code ?? ""] ?? message}`,
      where: { file },
    });
  }
}

const profileDirectory = (): string => join(packageRoot(), "recipes", "hardware");
const shippedPath = (name: string): string => join(profileDirectory(), `${name}.yaml`);
