/**
 * Rotary position embeddings of a config.json: which frequencies its fields mean.
 *
 * All three spellings are read: `rope_theta` + `rope_scaling` with `type` (Transformers before 4.43) or with
 * `rope_type`, and `rope_parameters` (Transformers 5).
 */
import type { FieldReader } from "./field-reader.ts";

export type Rope =
  | { readonly type: "default"; readonly theta: number }
  | { readonly type: "linear"; readonly theta: number; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly theta: number;
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** Positions before the model was extended. */
      readonly originalMaxPositions: number;
    };

const DEFAULT_THETA = 10000;
const COMMON_KEYS = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
const KEYS: Readonly<Record<Rope["type"], readonly string[]>> = {
  default: COMMON_KEYS,
  linear: [...COMMON_KEYS, "factor"],
  llama3: [
    ...COMMON_KEYS,
    ...["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
  ],
};

/** Reads the rope fields of a config; problems go to `config`. */
export function readRope(config: FieldReader): Rope {
  const scaling = config.object("rope_scaling");
  const parameters = config.object("rope_parameters");
  const theta = config.positive("rope_theta", DEFAULT_THETA);
  if (scaling && parameters)
    config.invalid("rope_parameters", "is given together with rope_scaling", "keep one");
  const fields = scaling ?? parameters;
  return fields ? readParameters(fields, theta, config) : { type: "default", theta };
}

function readParameters(fields: FieldReader, outerTheta: number, config: FieldReader): Rope {
  const theta = fields.positive("rope_theta", outerTheta);
  const type = fields.raw.rope_type ?? fields.raw.type ?? "default";
  if (type !== "default" && type !== "linear" && type !== "llama3") {
    const hint = `lema computes ${Object.keys(KEYS).join(", ")}`;
    fields.problem(
      "model.unsupported-feature",
      "rope_type",
      `${JSON.stringify(type)} is not supported`,
      hint,
    );
    return { type: "default", theta };
  }
  for (const [name, value] of Object.entries(fields.raw)) {
    const neutral = name !== "partial_rotary_factor" || value === 1;
    if (KEYS[type].includes(name) && neutral) continue;
    fields.problem(
      "model.unsupported-feature",
      name,
      `${JSON.stringify(value)} is not supported with ${type} rope`,
    );
  }
  if (type === "default") return { type, theta };
  const factor = fields.positive("factor");
  if (type === "linear") return { type, theta, factor };
  const lowFrequencyFactor = fields.positive("low_freq_factor");
  const highFrequencyFactor = fields.positive("high_freq_factor");
  if (highFrequencyFactor <= lowFrequencyFactor) {
    fields.invalid("high_freq_factor", `${highFrequencyFactor} is not above low_freq_factor`);
  }
  const maxPositions = config.raw.max_position_embeddings;
  const originalMaxPositions = fields.count(
    "original_max_position_embeddings",
    typeof maxPositions === "number" ? maxPositions : undefined,
  );
  return { type, theta, factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions };
}

/**
 * θ_p for p in [0, headDim / 2): the angle of pair p at position t is t · θ_p.
 *
 * - default: θ_p = theta^(−2p / headDim)  (Su et al. 2021, "RoFormer", section 3.2.2)
 * - linear: θ_p / factor  (Chen et al. 2023, "Extending context window via positional interpolation", eq. 4)
 * - llama3: with turns = originalMaxPositions · θ_p / 2π, θ_p where turns ≥ high, θ_p / factor where turns ≤ low, and
 *   in between (1 − s) θ_p / factor + s θ_p with s = (turns − low) / (high − low)  (Llama 3.1 reference code,
 *   `apply_scaling` in models/llama3/reference_impl/model.py)
 *
 * Every operation is rounded to float32 in the order of Transformers' modeling_rope_utils.py, so that the result is
 * what torch computes up to its power function (1 ulp).
 */
export function ropeInverseFrequencies({ rope, headDim }: { rope: Rope; headDim: number }): Float32Array {
  const f = Math.fround;
  const unscaled = Float32Array.from({ length: headDim / 2 }, (_, p) =>
    f(1 / f(f(rope.theta) ** f((2 * p) / headDim))),
  );
  if (rope.type === "default") return unscaled;
  const factor = f(rope.factor);
  if (rope.type === "linear") return unscaled.map((frequency) => f(frequency / factor));

  const { lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions: positions } = rope;
  const longest = f(positions / low);
  const shortest = f(positions / high);
  return unscaled.map((frequency) => {
    // torch divides a number by a tensor as number · reciprocal.
    const wavelength = f(f(1 / frequency) * f(2 * Math.PI));
    if (wavelength > longest) return f(frequency / factor);
    if (wavelength < shortest) return frequency;
    const smooth = f(f(f(f(1 / wavelength) * f(positions)) - f(low)) / f(high - low));
    return f(f(f(f(1 - smooth) * frequency) / factor) + f(smooth * frequency));
  });
}
