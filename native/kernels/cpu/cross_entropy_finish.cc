// loss = log(sum) + maximum − label_logit; dx = (expected_row / sum − label_row) · inverse_tokens.
#include <cmath>

#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {

Status PrepareCrossEntropyFinish(const CrossEntropyFinishArgs& a, int, Preparation*) {
  return CheckCrossEntropyFinish(a.expected_row, a.label_row, a.dx);
}

Status CrossEntropyFinish(const CrossEntropyFinishArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t width = a.dx.present() ? a.dx.dim[2] : 0;
  const float inverse = *a.inverse_tokens.as<const float>();
  ForRows(context.runner, a.labels.elements(), width + 64, [&](int64_t row) {
    const float sum = a.sum.as<const float>()[row];
    const bool supervised = a.labels.as<const int32_t>()[row] != kIgnoredLabel;
    a.losses.as<float>()[row] =
        supervised ? std::log(sum) + (a.maximum.as<const float>()[row] - a.label_logit.as<const float>()[row]) : 0.0f;
    if (width == 0) return;
    float* const dx = a.dx.as<float>() + row * width;
    if (!supervised) {
      std::fill_n(dx, width, 0.0f);
    } else {
      ActiveLoops().cross_entropy_gradient(a.expected_row.as<const float>() + row * width,
                                           a.label_row.as<const float>() + row * width, sum, inverse, dx, width);
    }
  });
  return Status::Ok();
}

}  // namespace lema::cpu
