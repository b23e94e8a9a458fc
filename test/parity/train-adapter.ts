/**
 * Trains a parity case through the whole runtime and leaves what `load_adapter.py` needs to show that the adapter is
 * PEFT's too: `tsx test/parity/train-adapter.ts CASE DIR` writes DIR/run/final, DIR/rows.json and DIR/expected.safetensors
 * (the loss that lema computes with the trained adapter).
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stepInputs } from "../../data/order.ts";
import { encodeFloats } from "../../models/float-codec.ts";
import { writeSafetensors } from "../../models/safetensors-writer.ts";
import { execute } from "../../runtime/execute.ts";
import type { PlanSession } from "../../runtime/session.ts";
import { caseInputs, readCase } from "../end-to-end/case.ts";
import { mustCompile } from "../end-to-end/run-case.ts";

const STEPS = 20;

const [name, directory] = process.argv.slice(2);
if (name === undefined || directory === undefined)
  throw new Error("usage: tsx test/parity/train-adapter.ts CASE DIR");
const parity = await readCase(name);
const inputs = await caseInputs(parity, { steps: STEPS });
const { rowsPerStep, dataset, file } = parity;
const batch = (step: number) => {
  const first = (step % file.batches.length) * rowsPerStep;
  return stepInputs(
    dataset,
    Uint32Array.from({ length: rowsPerStep }, (_, row) => first + row),
    rowsPerStep,
  );
};
await mkdir(directory, { recursive: true });
const losses: number[] = [];
let session: PlanSession | undefined;
await execute(
  mustCompile(inputs),
  {
    files: new Map(inputs.model.files.map(({ id, path }) => [id, path])),
    batches: { step: batch, validation: () => [] },
    adapter: parity.adapter.tensors,
    output: join(directory, "run"),
    resume: null,
    stopAfter: null,
    engine: { backend: "cpu", threads: null, serialLanes: false, diskThrottle: null },
    lemaVersion: "0.0.0",
    stop: null,
    cancel: null,
    trace: false,
  },
  {
    onStart: (started) => {
      session = started;
    },
    onStep: async ({ step }) => {
      if (step === STEPS) losses.push(await session!.evaluate(batch(0)));
    },
  },
);
await writeFile(join(directory, "rows.json"), JSON.stringify(file.batches[0]));
await writeSafetensors(
  join(directory, "expected.safetensors"),
  [{ name: "loss", dtype: "F32", shape: [1], data: [encodeFloats(Float32Array.from(losses), "f32")] }],
  { format: "pt" },
);
