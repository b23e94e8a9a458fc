/**
 * Times optimizer steps of a plan in a process of its own and prints one JSON object, the counterpart of
 * `peft_baseline.py`: `tsx bench/lema-steps.ts --model DIR --arena BYTES --precision bf16 [--threads 2] [--steps 5]`;
 * with `--vram BYTES --hardware h200 --backend cuda` on a device. `--digests DIR` keeps the files' digests there.
 *
 * Rows are random tokens, all supervised. `arena` is the ram arena's limit: nothing is reserved in the plan, and what
 * the process takes beside it is measured.
 */
import { parseArgs } from "node:util";
import { opTotals } from "../cli/explain/calibrate.ts";
import { type ComparedTime, compareTimes } from "../cli/explain/compare-times.ts";
import { compile } from "../planner/compile.ts";
import type { Backend } from "../runtime/addon.ts";
import { writeInitialState } from "../runtime/initial-state.ts";
import { PeakMemory, residentBytes } from "../runtime/memory.ts";
import { scalarsOf } from "../runtime/scalars.ts";
import { PlanSession } from "../runtime/session.ts";
import { parseRecipe } from "../schemas/recipe.ts";
import { loadHardware, readInputs } from "./inputs.ts";
import { fillRows } from "./random-rows.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    arena: { type: "string", default: String(2 ** 40) },
    vram: { type: "string" },
    backend: { type: "string", default: "cpu" },
    precision: { type: "string", default: "bf16" },
    hardware: { type: "string", default: "cpu-2core" },
    threads: { type: "string", default: "2" },
    batch: { type: "string", default: "4" },
    "micro-batch": { type: "string", default: "auto" },
    length: { type: "string", default: "512" },
    rank: { type: "string", default: "16" },
    warmup: { type: "string", default: "1" },
    steps: { type: "string", default: "5" },
    digests: { type: "string" },
  },
});

const vram = values.vram === undefined ? "" : `, vram: ${values.vram}`;
const noVramReserve = values.vram === undefined ? "" : ", vram: 0 B";
const text = `
lema: 1
model: ${values.model}
dataset: {path: none.jsonl, format: tokens}
sequence: {length: ${values.length}}
adapter: {type: lora, rank: ${values.rank}, targets: all-linear}
training: {steps: 100, batch_size: ${values.batch}, micro_batch: ${values["micro-batch"]}, learning_rate: 1e-4, precision: ${values.precision}}
memory: {ram: ${values.arena}${vram}, reserve: {ram: 0 B${noVramReserve}}}
output: runs/bench
`;
const { recipe, diagnostics } = parseRecipe(text, { file: "bench" });
if (!recipe) throw new Error(JSON.stringify(diagnostics, null, 2));
const inputs = await readInputs(recipe, loadHardware(values.hardware), values.digests ?? null);
const compiled = compile(inputs);
const { plan } = compiled;
if (!plan)
  throw new Error(
    compiled.diagnostics.map(({ summary, detail }) => `${summary}\n${detail ?? ""}`).join("\n"),
  );

const before = residentBytes();
const memory = new PeakMemory(5);
const session = await PlanSession.open(
  { ...plan, shape: { ...plan.shape, threads: Number(values.threads) } },
  new Map(Object.entries(plan.meta.paths)),
  { backend: values.backend as Backend, serialLanes: false, diskThrottle: null },
);
await writeInitialState(plan, null, session.write.bind(session));
await session.start();
const seconds: number[] = [];
const losses: number[] = [];
let bytesRead = 0;
for (let step = 0; step < Number(values.warmup) + Number(values.steps); step++) {
  const data = fillRows({ plan, step });
  const scalars = scalarsOf({
    optimizer: plan.training.optimizer,
    learningRate: 1e-4,
    adamSteps: step,
    supervisedTokens: data.supervisedTokens,
  });
  const began = performance.now();
  const result = await session.step(data, scalars);
  if (step >= Number(values.warmup)) seconds.push((performance.now() - began) / 1000);
  losses.push(result.loss);
  bytesRead = result.stats.bytesRead;
}
const peak = memory.stop();
const device = session.deviceMemory;
const instructions = [...session.trace()];
session.close();

const explanation = compareTimes(plan, { program: "train-step", instructions }, []);
const median = seconds.toSorted((a, b) => a - b)[seconds.length >> 1]!;
const flops = plan.programs["train-step"].steady.reduce((sum, instruction) => {
  if (instruction.kind !== "run") return sum;
  return sum + plan.procedures.find(({ id }) => id === instruction.procedure)!.flops;
}, 0);
console.log(
  JSON.stringify({
    tokens_per_second: plan.shape.tokens_per_step / median,
    seconds,
    losses,
    arena_bytes: plan.budgets.ram.arena,
    vram_arena_bytes: plan.budgets.vram?.arena ?? null,
    device,
    peak_bytes: peak,
    process_before_bytes: before,
    bytes_read_per_step: bytesRead,
    planned_bytes_per_step: plan.bounds.find(
      ({ program, link }) => program === "train-step" && link === "disk",
    )!.moved,
    flops_per_step: flops,
    predicted_seconds: plan.predictions[0]!.step_ns / 1e9,
    shape: plan.shape,
    decisions: plan.decisions.map(({ name, chosen }) => `${name}: ${chosen}`),
    lanes: milliseconds(explanation.lanes, ({ lane }) => lane),
    work: milliseconds(explanation.groups, ({ name, count }) => `${name} (${count})`),
    ops: Object.fromEntries(opTotals(plan, explanation).map(({ op, fitted_ns }) => [op, fitted_ns / 1e6])),
  }),
);

/** Of the last step, at work: predicted and measured. */
function milliseconds<T extends ComparedTime>(
  times: readonly T[],
  nameOf: (time: T) => string,
): Record<string, readonly [predicted: number, measured: number]> {
  return Object.fromEntries(
    times.map((time) => [nameOf(time), [time.predicted_ns / 1e6, time.measured_ns / 1e6] as const]),
  );
}
