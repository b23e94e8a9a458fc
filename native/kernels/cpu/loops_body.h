// All loops for the instruction set of the including file.
#pragma once

#include "kernels/cpu/loops_attention_backward.h"
#include "kernels/cpu/loops_cross_entropy.h"
#include "kernels/cpu/loops_few_rows.h"

namespace lema::cpu::LEMA_ISA {

inline Loops MakeLoops(const char* name) {
  return {
      .name = name,
      .add = Add,
      .convert = Convert,
      .rms_norm = RmsNorm,
      .rms_norm_backward = RmsNormBackward,
      .rope = Rope,
      .swiglu = Swiglu,
      .swiglu_backward = SwigluBackward,
      .adamw = Adamw,
      .cross_entropy_gradient = CrossEntropyGradient,
      .square_sum = SquareSum,
      .packed_bytes = PackedBytes,
      .pack_columns = PackColumns,
      .product = Product,
      .product_of_few_rows = ProductOfFewRows,
      .attention_scratch = AttentionScratch,
      .attention = Attention,
      .attention_backward_scratch = AttentionBackwardScratch,
      .attention_backward = AttentionBackward,
      .cross_entropy_scratch = CrossEntropyScratch,
      .cross_entropy = CrossEntropy,
  };
}

}  // namespace lema::cpu::LEMA_ISA
