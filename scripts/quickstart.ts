/**
 * The proof, from end to end and offline, with the command line as a user would: a small Llama that answers questions in
 * prose learns a strict reply format, through an arena much smaller than a resident run needs, and is then asked
 * questions that it was not trained on. Exits with 1 when a promise of {@link PROMISED} is not kept.
 *
 * Run it as `npm run quickstart`; lema must be built.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunReport } from "../chat/evaluate-run.ts";
import { renderEvaluation } from "../cli/render/evaluation.ts";
import { weightTraffic } from "../cli/render/plan-facts.ts";
import { openPlan, type RunRecord, runSchema } from "../index.ts";
import { formatBytes } from "../schemas/units.ts";

const PROMISED = {
  /** Of the resident plan's arena, at most. */
  arena: 0.6,
  /** Share of held-out questions that are answered in the format, at least. */
  format: 0.95,
  /** Share of right answers that may be lost by learning the format. */
  lost: 0.1,
};

/** Of `lema plan --json`. */
interface PlanFacts {
  readonly memory: { readonly ram: { readonly arena: number } };
}

const RECIPE = "recipes/quickstart.yaml";
const DIRECTORY = "scratch/quickstart";
const DATASET = join(DIRECTORY, "reply.jsonl");
const QUESTIONS = join(DIRECTORY, "reply.held-out.jsonl");
const RUN = join(DIRECTORY, "run");

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const started = Date.now();
rmSync(DIRECTORY, { recursive: true, force: true });
say("thousands of examples of a reply format, and 100 questions that are not among them");
lema("dataset", "build", "-o", DATASET);

say("is the recipe sound?");
lema("validate", RECIPE);

say("compile it into a plan: every byte and every step is decided here");
lema("plan", RECIPE);
const plan = await openPlan(join(RUN, "plan.json"));

say("what would it take with room for everything, so that nothing streams?");
const roomy = JSON.parse(lemaOutput("plan", RECIPE, "--what-if", "ram=1GiB", "--json")) as PlanFacts;
const [small, large] = [plan.budgets.ram.arena, roomy.memory.ram.arena];
const loads = weightTraffic(plan).reduce((sum, unit) => sum + unit.loads, 0);
console.log(
  `resident   arena ${formatBytes(large)}, all weights and activations stay in it\n` +
    `this plan  arena ${formatBytes(small)} (${percent(small / large)}), ${loads} loads of weights a step`,
);
promise(
  small <= PROMISED.arena * large,
  `the arena is at most ${percent(PROMISED.arena)} of the resident one`,
);
promise(loads > 0, "weights stream");

say("run the plan");
lema("exec", join(RUN, "plan.json"));
const record = runSchema.parse(JSON.parse(readFileSync(join(RUN, "run.json"), "utf8")));

say("ask what was not trained: the model, then its base, which has never seen the format");
const report = JSON.parse(lemaOutput("eval", RUN, "--base", "--questions", QUESTIONS, "--json")) as RunReport;
console.log(renderEvaluation(report, 0).join("\n"));
showReplies(report);
conclude(record, report);

/** Prints a command as one would type it, and runs it. */
function lema(...argv: readonly string[]): void {
  run(argv, "inherit");
}

function lemaOutput(...argv: readonly string[]): string {
  return run(argv, "pipe");
}

function run(argv: readonly string[], stdout: "inherit" | "pipe"): string {
  console.log(`\n$ npx lema ${argv.join(" ")}`);
  const result = spawnSync(process.execPath, [join("bin", "lema.js"), ...argv], {
    stdio: ["inherit", stdout, "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error(`\nquickstart: \`lema ${argv[0]}\` ended with exit code ${result.status}`);
    process.exit(result.status ?? 1);
  }
  return result.stdout;
}

/** The first two questions, with what the base said in prose. */
function showReplies({ replies, base }: RunReport): void {
  for (const { question, reply } of replies.slice(0, 2)) {
    const before = base?.prose?.replies.find((one) => one.question === question)?.reply;
    console.log(`\n> ${question}\nbefore: ${before}\nafter:  ${reply.replaceAll("\n", "\n        ")}`);
  }
}

function conclude({ loss, memory: { ram }, steps }: RunRecord, { base, ...after }: RunReport): void {
  promise(loss !== null, "it has trained");
  promise(base !== null && base.prose !== null, "the base was asked in prose too");
  const { followUp } = after;
  promise(after.questions === 100 && base.prose.questions === 100, "all of 100 questions were asked");
  promise(followUp?.questions === 100, "all were asked again in a second turn");
  promise(existsSync(join(RUN, "final/adapter_model.safetensors")), "there is an adapter");
  const measured = ram.measured === null ? "not measured here" : formatBytes(ram.measured);
  say(`done in ${duration(Date.now() - started)}`);
  console.log(
    [
      `in the format  ${base.format.inFormat} → ${after.inFormat} of ${after.questions} questions that were not trained`,
      `second turns   ${followUp.inFormat} of ${followUp.questions} in the format, ${followUp.correct} right`,
      `answers right  ${base.prose.correct} → ${after.correct} of ${after.questions}, before in prose, after in the format`,
      `loss           ${loss.first.toFixed(2)} → ${loss.last.toFixed(2)} in ${steps} steps`,
      `memory         planned ${formatBytes(ram.planned)}, measured ${measured}; arena ${percent(small / large)} of the resident one`,
      `adapter        ${RUN}/final  (Hugging Face PEFT format)`,
    ].join("\n"),
  );
  promise(base.format.inFormat === 0, "the base has never seen the format");
  promise(
    after.inFormat >= PROMISED.format * after.questions,
    `${percent(PROMISED.format)} of the replies are in the format`,
  );
  promise(
    followUp.inFormat >= PROMISED.format * followUp.questions,
    `${percent(PROMISED.format)} of the replies in a second turn are in the format`,
  );
  promise(
    base.prose.correct - after.correct <= PROMISED.lost * after.questions,
    `at most ${percent(PROMISED.lost)} of the answers are lost`,
  );
  promise(ram.measured === null || ram.measured <= ram.planned, "measured memory is within the plan");
  console.log(
    [
      "",
      "Try next:",
      `  npx lema chat ${RUN} --check`,
      `  npx lema show ${join(RUN, "plan.json")} --why bwd/L03/mb0`,
      `  npx lema plan ${RECIPE} --what-if ram=1GiB`,
      "  npx lema plan recipes/llama2-p100.yaml --dry-run",
      `  and your own model: copy ${RECIPE}, change model, dataset and memory`,
    ].join("\n"),
  );
}

function promise(holds: boolean, what: string): asserts holds {
  if (holds) return;
  console.error(`\nquickstart: broken promise: ${what}`);
  process.exit(1);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function duration(elapsed: number): string {
  const seconds = Math.round(elapsed / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function say(text: string): void {
  console.log(`\n── ${text}`);
}
