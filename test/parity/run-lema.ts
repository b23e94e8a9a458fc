/**
 * Runs every parity case on the cpu backend and writes what `compare.py --lema DIR` compares:
 * `tsx test/parity/run-lema.ts DIR`. Lower precisions are run for the cases that state their distances.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encodeFloats } from "../../models/float-codec.ts";
import { type TensorData, writeSafetensors } from "../../models/safetensors-writer.ts";
import { caseInputs, caseNames, readCase } from "../end-to-end/case.ts";
import { runCase } from "../end-to-end/run-case.ts";

const STEPS = 20;

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error("usage: tsx test/parity/run-lema.ts DIR");
for (const name of caseNames()) {
  const parity = await readCase(name);
  await mkdir(join(directory, name), { recursive: true });
  for (const precision of parity.file.precisions) {
    const full = precision === "f32";
    const run = await runCase(parity, await caseInputs(parity, { precision }), { steps: full ? STEPS : 1 });
    const tensors = [
      tensor("loss", Float32Array.of(run.losses[0]!)),
      tensor("grad_norm", Float32Array.of(run.gradNorms[0]!)),
      ...named("grad", run.gradients[0]!, run.plan.parameters),
    ];
    if (full) {
      tensors.push(tensor("losses", Float32Array.from(run.losses)));
      tensors.push(tensor("grad_norms", Float32Array.from(run.gradNorms)));
      tensors.push(...named("param20", run.parameters, run.plan.parameters));
    }
    const { curve_steps: steps } = parity.file;
    if (full && steps !== undefined) {
      const { losses } = await runCase(parity, await caseInputs(parity, { steps }), { steps });
      tensors.push(tensor("curve", Float32Array.from(losses)));
    }
    const file = full ? "result.safetensors" : `result.${precision}.safetensors`;
    await writeSafetensors(join(directory, name, file), tensors, { format: "pt" });
  }
}

function tensor(name: string, values: Float32Array, shape: readonly number[] = [values.length]): TensorData {
  return { name, dtype: "F32", shape, data: [encodeFloats(values, "f32")] };
}

function named(
  prefix: string,
  values: ReadonlyMap<string, Float32Array>,
  parameters: readonly { name: string; shape: readonly number[] }[],
): TensorData[] {
  return parameters.map(({ name, shape }) => tensor(`${prefix}.${name}`, values.get(name)!, shape));
}
