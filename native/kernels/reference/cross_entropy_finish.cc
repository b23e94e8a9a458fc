// loss = log(sum) + maximum − label_logit; dx = (expected_row / sum − label_row) · inverse_tokens.
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareCrossEntropyFinish(const CrossEntropyFinishArgs& a, int, Preparation*) {
  return CheckCrossEntropyFinish(a.expected_row, a.label_row, a.dx);
}

Status CrossEntropyFinish(const CrossEntropyFinishArgs& a, PreparedCall*, KernelContext&) {
  const int64_t width = a.dx.present() ? a.dx.dim[2] : 0;
  for (int64_t row = 0; row < a.labels.elements(); ++row) {
    const bool supervised = a.labels.as<const int32_t>()[row] != kIgnoredLabel;
    const double sum = Load(a.sum, row);
    Store(a.losses, row, supervised ? std::log(sum) + Load(a.maximum, row) - Load(a.label_logit, row) : 0.0);
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      Store(a.dx, i, supervised ? (Load(a.expected_row, i) / sum - Load(a.label_row, i)) * Load(a.inverse_tokens, 0) : 0.0);
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
