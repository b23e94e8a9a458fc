/** Tasks at the end of a step, and of a checkpoint: what happens to the adapter's state where its master copy is. */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { refreshAdapter } from "./block-tasks.ts";
import type { StepContext } from "./step-context.ts";
import { at, outputPlaces } from "./values.ts";

/** Global norm and overflow check, then every block's update: nothing may change before the norm is known. */
export function optimizer(c: StepContext): void {
  const { adapted, tasks } = c;
  if (adapted.length === 0) return;
  const lane = c.optimizerLane;
  const gradient = c.hostGradient();
  const parameters = adapted.reduce((sum, block) => sum + parametersOf(c, block), 0);
  const squares = tasks.value("squares", dtypeBytes.f64 * parameters, "activation", "ram");
  for (const block of adapted) {
    const bind = {
      gradient: at(gradient, c.adapter.offsets[block]!),
      squares: at(squares, dtypeBytes.f64 * c.units.firstParameter[block]!),
    };
    tasks.run(`squares/${c.unitOf(block)}`, `${c.nameOf(block)}.squares`, bind, { lane });
  }
  const { norm, clip, skip } = outputPlaces;
  const results = { norm: at("outputs", norm), clip: at("outputs", clip), skip: at("outputs", skip) };
  tasks.run("norm", "step.norm", { squares: at(squares), ...results }, { lane });
  for (const block of adapted) {
    const offset = c.adapter.offsets[block]!;
    const bind = {
      param: at("adapter", offset),
      grad: at(gradient, offset),
      first_moment: at("first_moment", offset),
      second_moment: at("second_moment", offset),
      clip: results.clip,
      skip: results.skip,
      step_size: c.scalar("step_size", "ram"),
      decay: c.scalar("decay", "ram"),
      bias_correction: c.scalar("bias_correction", "ram"),
    };
    tasks.run(`adamw/${c.unitOf(block)}`, `${c.nameOf(block)}.update`, bind, { lane });
    refreshAdapter(c, block);
  }
}

/** Adapter and moments, whole buffers, into the payload of the checkpoint's files. */
export function writeState({ tasks, adapter: { bytes } }: StepContext): void {
  if (bytes === 0) return;
  const write = (sink: string, offset: number, buffer: string) =>
    tasks.write(`write/${buffer}`, sink, offset, { buffer, offset: 0, bytes });
  write("adapter", 0, "adapter");
  write("optimizer", 0, "first_moment");
  write("optimizer", bytes, "second_moment");
}

function parametersOf({ inputs }: StepContext, block: number): number {
  return inputs.model.blocks[block]!.parameters.length;
}
