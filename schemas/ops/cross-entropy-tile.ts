import { activationDTypes, defineOp, weightDTypes } from "./define-op.ts";

/**
 * One chunk of the language-model head with online softmax, walked in fixed vocabulary tiles so that full logits never
 * exist. The chunk's first row is a multiple of the tile, so chunking never changes a bit. State starts as
 * maximum = −∞ and zeros (see `fill`). Without `expected_row` and `label_row` it computes the loss alone.
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
  },
  productOperand: "x",
  flops: ({ dims, dtypes }) => (dtypes.expected_row ? 4 : 2) * dims.B! * dims.S! * dims.V! * dims.H!,
  scratch: ({ dims, attributes }, threads) => {
    const rows = Math.min(dims.S!, attributes.row_tile!);
    const tile = Math.min(dims.V!, attributes.vocabulary_tile!);
    return threads * (2 * 4 * (2 * rows * tile + 2 * tile * dims.H! + 2 * rows * dims.H!) + 65536);
  },
  backward: null,
});
