/**
 * A device that is faster than the host hands over its work waits for each kernel, and a timed call would show that
 * wait. In a step whose calls are long the host is ahead; so is it here: before every few instructions the device is kept
 * waiting by a copy, while the host hands over the instructions behind it.
 */
import type { EnginePlan } from "../../runtime/encode.ts";
import type { Instruction, PlanBuffer } from "../../schemas/plan.ts";

/** At 50 GB/s more than a millisecond, in which the host hands over a hundred instructions. */
const BYTES = 64 * 2 ** 20;
/** Fewer than a lane may be ahead of its device; see native/cuda/device_lane.h. */
const EVERY = 96;
const ALIGNMENT = 4096;

type Held = EnginePlan & { readonly budgets: { readonly vram: { readonly arena: number } } };

/** `plan` runs `steady` on the compute lane alone; its ram arena is empty. */
export function holdBack(plan: Held, steady: readonly Instruction[]): EnginePlan {
  const { arena } = plan.budgets.vram;
  const offset = Math.ceil(arena / ALIGNMENT) * ALIGNMENT;
  const buffer = (tier: "ram" | "vram", at: number): PlanBuffer => ({
    id: `hold/${tier}`,
    arena: tier,
    offset: at,
    bytes: BYTES,
    alignment: ALIGNMENT,
    holds: "weights",
    lifetime: null,
  });
  const none = { prologue: [], epilogue: [] };
  return {
    ...plan,
    budgets: { ram: { arena: BYTES }, vram: { arena: offset + BYTES } },
    buffers: [...plan.buffers, buffer("ram", 0), buffer("vram", offset)],
    programs: { ...plan.programs, "train-step": { ...none, steady: steady.flatMap(behindCopies) } },
  };
}

/** The copy begins when what stands before it has ended, and what follows begins when it has. */
function behindCopies(
  instruction: Instruction,
  index: number,
  all: readonly Instruction[],
): readonly Instruction[] {
  if (index % EVERY !== 0) return [instruction];
  const before = all[index - 1];
  const copy: Instruction = {
    kind: "copy",
    lane: "h2d",
    id: `hold/${index}`,
    waits: before === undefined ? [] : [{ on: before.id, at: 0 }],
    reads: [],
    writes: [],
    bytes: BYTES,
    from: { buffer: "hold/ram", offset: 0 },
    to: { buffer: "hold/vram", offset: 0 },
    unit: null,
  };
  return [copy, { ...instruction, waits: [{ on: copy.id, at: 0 }] }];
}
