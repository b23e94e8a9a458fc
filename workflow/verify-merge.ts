/**
 * Whether a merged model says what base and adapter say: the logits of both through the engine, on the same tokens.
 *
 * Merging rounds W + scaling · B·A once, to the dtype that the weight is stored in, which moves logits a little. An adapter
 * that does no more than that would be lost on the way, so what it does is measured too.
 */
import type { GenerationSession } from "../runtime/generation-session.ts";
import { counterRandom } from "../schemas/counter-rng.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { DType } from "../schemas/ops/define-op.ts";

/** Which of the three models is opened. */
export type MergeSide = "merged" | "unmerged" | "base";

export interface OpenedSide {
  readonly session: Pick<GenerationSession, "capacity" | "vocabulary" | "feed" | "close">;
  /** Of its weights. */
  readonly dtypes: readonly DType[];
}

export interface MergeCheck {
  /** Positions whose logits were compared. */
  readonly positions: number;
  /** ‖merged − unmerged‖ / ‖unmerged‖ over their logits. */
  readonly difference: number;
  /** The most that rounding to the stored dtype may make of it. */
  readonly tolerance: number;
  /** ‖unmerged − base‖ / ‖unmerged‖: what the adapter does. */
  readonly effect: number;
  /** Positions at which both take the same token for the likeliest. */
  readonly agreeing: number;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Positions that the sessions need room for. */
export const CHECKED_TOKENS = 64;
/** Each run of this many tokens is a pass over all weights. */
const RUN_TOKENS = 16;
const SEED = 1;
/** Half the distance between neighbouring numbers at 1. */
const ROUNDOFF: Partial<Record<DType, number>> = { f32: 2 ** -24, f16: 2 ** -11, bf16: 2 ** -8 };
/** Roundings of single weights are independent, so logits move by a few of them; this is far more. */
const ROUNDINGS = 16;
/** Two orders of the same sums in float32. */
const LEAST_TOLERANCE = 1e-4;
/** An adapter that does less than this many times what rounding does is as good as lost. */
const WORTH_KEEPING = 4;

/** Opens one model after the other. Throws `merge.differs`. */
export async function verifyMerge(open: (side: MergeSide) => Promise<OpenedSide>): Promise<MergeCheck> {
  const unmerged = await logitsOf(await open("unmerged"));
  const base = await logitsOf(await open("base"));
  const merged = await logitsOf(await open("merged"));
  const check = {
    positions: unmerged.logits.length,
    difference: distance(merged.logits, unmerged.logits),
    tolerance: Math.max(LEAST_TOLERANCE, ROUNDINGS * merged.roundoff),
    effect: distance(base.logits, unmerged.logits),
    agreeing: merged.logits.filter((logits, at) => likeliest(logits) === likeliest(unmerged.logits[at]!))
      .length,
  };
  // Written so that NaN fails.
  if (!(check.difference <= check.tolerance)) throw new DiagnosticError(differs(check));
  const lost = check.effect < WORTH_KEEPING * check.difference;
  return { ...check, diagnostics: lost ? [roundedAway(check)] : [] };
}

async function logitsOf({
  session,
  dtypes,
}: OpenedSide): Promise<{ logits: Float32Array[]; roundoff: number }> {
  const random = counterRandom(SEED, "merge");
  const count = Math.min(CHECKED_TOKENS, session.capacity);
  const tokens = Array.from({ length: count }, (_, index) => random.uint32(index) % session.vocabulary);
  const logits: Float32Array[] = [];
  try {
    for (let at = 0; at < count; at += RUN_TOKENS) {
      logits.push(await session.feed(tokens.slice(at, at + RUN_TOKENS)));
    }
  } finally {
    await session.close();
  }
  return { logits, roundoff: Math.max(...dtypes.map((dtype) => ROUNDOFF[dtype] ?? 0)) };
}

/** ‖a − b‖ / ‖b‖ */
function distance(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let difference = 0;
  let size = 0;
  b.forEach((row, at) => {
    row.forEach((value, index) => {
      difference += (a[at]![index]! - value) ** 2;
      size += value ** 2;
    });
  });
  return Math.sqrt(difference / size);
}

function likeliest(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
}

function differs({ difference, tolerance }: Pick<MergeCheck, "difference" | "tolerance">): Diagnostic {
  return diagnostic("merge.differs", {
    summary: `logits of the merged model are ${percent(difference)} from those of base and adapter; rounding explains ${percent(tolerance)} at most`,
    hint: "do not use this model; please report it, with the adapter's adapter_config.json",
  });
}

function roundedAway({ effect, difference }: Pick<MergeCheck, "effect" | "difference">): Diagnostic {
  return diagnostic("merge.rounded-away", {
    severity: "warning",
    summary: `the adapter moves logits by ${percent(effect)}, and rounding the merged weights by ${percent(difference)}`,
    hint: "store the merged model in a wider dtype (`--dtype f32`), or use the adapter unmerged",
  });
}

/** Shares here go from a few percent down to rounding in float32. */
export function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}
