import { activationDTypes, defineOp, roundUp, weightDTypes } from "./define-op.ts";
import { f16Factors } from "./linear-common.ts";

/**
 * One chunk of the language-model head with online softmax, walked in fixed vocabulary tiles so that full logits never
 * exist. The chunk's first row is a multiple of the tile, so chunking never changes a bit. State starts as
 * maximum = −∞ and zeros (see `fill`). Rows whose label is −100 are left as they are. Without `expected_row` and `label_row` it computes the loss alone.
 */
export const crossEntropyTile = defineOp({
  name: "cross_entropy_tile",
  doc: "logits = x·wᵀ per tile; maximum, sum and label_logit advance by online softmax; expected_row accumulates Σ_v e^(logit_v − maximum)·w_v, rescaled when the maximum moves; label_row takes w[label].",
  source:
    "Milakov & Gimelshein 2018, algorithm 3; Dao 2023 for the rescaled accumulator, here with values = weights",
  operands: {
    x: {
      access: "read",
      shape: ["B", "S", "H"],
      dtypes: activationDTypes,
      doc: "Normalized final activations.",
    },
    w: {
      access: "read",
      shape: ["V", "H"],
      dtypes: weightDTypes,
      doc: "Rows [first_row, first_row + V) of the head.",
    },
    labels: {
      access: "read",
      shape: ["B", "S"],
      dtypes: ["i32"],
      doc: "Next-token ids; −100 is not supervised.",
    },
    maximum: { access: "update", shape: ["B", "S"], dtypes: ["f32"], doc: "Running maximum of the logits." },
    sum: { access: "update", shape: ["B", "S"], dtypes: ["f32"], doc: "Running Σ e^(logit − maximum)." },
    label_logit: {
      access: "update",
      shape: ["B", "S"],
      dtypes: ["f32"],
      doc: "Logit of the label, once met.",
    },
    expected_row: {
      access: "update",
      optional: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Running softmax-weighted sum of rows.",
    },
    label_row: {
      access: "update",
      optional: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Row of the label, once met.",
    },
  },
  attributes: {
    first_row: { type: "i32", doc: "Vocabulary index of the chunk's first row." },
    vocabulary_tile: { type: "i32", doc: "Rows of one online-softmax step." },
    row_tile: { type: "i32", doc: "Positions of a sequence that one product covers." },
    f16_factors: f16Factors,
  },
  productOperand: "x",
  flops: ({ dims, dtypes }) => (dtypes.expected_row ? 4 : 2) * dims.B! * dims.S! * dims.V! * dims.H!,
  // Shared: the tile of weights packed both ways, as f32. Per thread: logits and probabilities of at most 112 rows, and
  // one left factor. A device takes as many rows at once as fit, exponents of f16 factors included.
  scratch: ({ dims, dtypes, attributes }, threads) => {
    const rows = Math.min(dims.S!, attributes.row_tile!, 112);
    const tile = Math.min(dims.V!, attributes.vocabulary_tile!);
    const even = roundUp(tile, 2);
    const left = 4 * roundUp(rows, 16) * Math.max(dims.H!, even);
    const own = roundUp(4 * rows * tile, 64) + roundUp(2 * rows * even, 64) + left + 64;
    const values = dtypes.expected_row ? roundUp(dims.H!, 16) * even : 0;
    return threads * own + 4 * (roundUp(tile, 16) * dims.H! + values) + 64;
  },
  backward: null,
});
