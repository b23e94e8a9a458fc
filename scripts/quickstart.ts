/**
 * The main job from end to end on real files: makes a small Llama and a dataset, then validates, plans and trains with
 * the command line as a user would, and checks what it promises: the arena is at most 60 % of what the same training
 * needs with all weights resident, measured memory stays within the plan, and the loss falls.
 *
 * Run it as `npm run quickstart`; lema must be built.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadRecipe } from "../cli/load-recipe.ts";
import { weightTraffic } from "../cli/render/plan-facts.ts";
import {
  compile,
  type Inputs,
  openPlan,
  type Plan,
  type RunRecord,
  readInputs,
  runSchema,
} from "../index.ts";
import { bytes, formatBytes } from "../schemas/units.ts";
import { makeQuickstartFiles, QUICKSTART_DIRECTORY, QUICKSTART_RECIPE } from "./quickstart-files.ts";

const MEBIBYTE = 2 ** 20;
const ARENA_SHARE = 0.6;
/** The loss of the last step, of the first one's. */
const LOSS_SHARE = 0.5;

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const started = Date.now();
say("a small random Llama and a dataset to learn by heart");
rmSync(QUICKSTART_DIRECTORY, { recursive: true, force: true });
const made = await makeQuickstartFiles(root);
console.log(
  `${QUICKSTART_DIRECTORY}: ${(made.parameters / 1e6).toFixed(1)} million parameters, ${formatBytes(made.bytes)}; ${made.rows} rows`,
);

say("is the recipe sound?");
lema("validate", QUICKSTART_RECIPE);

say("compile it into a plan: every byte and every step is decided here");
lema("plan", QUICKSTART_RECIPE);
const run = join(QUICKSTART_DIRECTORY, "run");
const plan = await openPlan(join(run, "plan.json"));

say("what would it take with all weights resident?");
const resident = smallestResidentPlan(await inputsOf(plan));
const [small, large] = [plan.budgets.ram.arena, resident.budgets.ram.arena];
console.log(
  `resident  arena ${formatBytes(large)}, weights loaded once\n` +
    `this plan arena ${formatBytes(small)} (${((100 * small) / large).toFixed(0)} %), ${loads(plan)} loads of weights a step`,
);
promise(small <= ARENA_SHARE * large, `the arena is at most ${100 * ARENA_SHARE} % of the resident plan's`);
promise(loads(plan) > 0, "weights stream");

say("run the plan");
lema("exec", join(run, "plan.json"));

const record = runSchema.parse(JSON.parse(readFileSync(join(run, "run.json"), "utf8")));
report(record);

/** Prints a command as one would type it, and runs it. */
function lema(...argv: readonly string[]): void {
  console.log(`\n$ npx lema ${argv.join(" ")}`);
  const { status, error } = spawnSync(process.execPath, [join("bin", "lema.js"), ...argv], {
    stdio: "inherit",
  });
  if (error) throw error;
  if (status !== 0) {
    console.error(`\nquickstart: \`lema ${argv[0]}\` ended with exit code ${status}`);
    process.exit(status ?? 1);
  }
}

/** The planner's inputs of the recipe; nothing is opened that the plan does not need. */
async function inputsOf({ lema_version: lemaVersion }: Plan): Promise<Inputs> {
  const machine = { env: process.env, cwd: root };
  const { recipe, hardware } = loadRecipe(QUICKSTART_RECIPE, [], machine);
  const options = { recipe, hardware, lemaVersion, cwd: root, cacheDirectory: null, dryRun: true };
  return (await readInputs(options)).inputs;
}

/** The plan of the smallest budget, in whole MiB, at which no weights stream. */
function smallestResidentPlan(inputs: Inputs): Plan {
  const planAt = (mebibytes: number): Plan | undefined => {
    const memory = { ...inputs.recipe.memory, ram: bytes(mebibytes * MEBIBYTE) };
    const { plan } = compile({ ...inputs, recipe: { ...inputs.recipe, memory } });
    return plan !== undefined && loads(plan) === 0 ? plan : undefined;
  };
  let low = Math.floor(inputs.recipe.memory.ram / MEBIBYTE);
  let high = 2 * low;
  let best = planAt(high);
  promise(best !== undefined, "twice the recipe's memory holds all weights");
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    const found = planAt(middle);
    if (found === undefined) low = middle;
    else [high, best] = [middle, found];
  }
  return best;
}

function loads(plan: Plan): number {
  return weightTraffic(plan).reduce((sum, unit) => sum + unit.loads, 0);
}

function report({ loss, memory: { ram }, adapter, steps }: RunRecord): void {
  const final = join(run, "final");
  promise(loss !== null && loss.last < LOSS_SHARE * loss.first, "the loss falls to less than half");
  promise(ram.measured === null || ram.measured <= ram.planned, "measured memory is within the plan");
  promise(adapter !== null && existsSync(join(final, "adapter_model.safetensors")), "there is an adapter");
  const measured = ram.measured === null ? "not measured here" : formatBytes(ram.measured);
  say(`done in ${Math.round((Date.now() - started) / 1000)} s`);
  console.log(
    [
      `loss     ${loss.first.toFixed(2)} → ${loss.last.toFixed(2)} in ${steps} steps (guessing: ${Math.log(259).toFixed(2)})`,
      `memory   planned ${formatBytes(ram.planned)}, measured ${measured}`,
      `adapter  ${final}  (Hugging Face PEFT format)`,
      "",
      "Try next:",
      `  npx lema show ${join(run, "plan.json")} --why bwd/L03/mb0`,
      `  npx lema plan ${QUICKSTART_RECIPE} --what-if ram=1GiB`,
      "  npx lema plan recipes/llama2-p100.yaml --dry-run",
      `  and your own model: copy ${QUICKSTART_RECIPE}, change model, dataset and memory`,
    ].join("\n"),
  );
}

function promise(holds: boolean, what: string): asserts holds {
  if (holds) return;
  console.error(`\nquickstart: broken promise: ${what}`);
  process.exit(1);
}

function say(text: string): void {
  console.log(`\n── ${text}`);
}
