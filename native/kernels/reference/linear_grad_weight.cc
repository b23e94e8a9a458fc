// dw += alpha · Σ_b dy[b]ᵀ · x[b], one sequence after the other; x in the dtype of dy.
#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareLinearGradWeight(const LinearGradWeightArgs& a, int, Preparation*) {
  return CheckProduct(a.row_tile, a.column_tile, a.f16_factors);
}

Status LinearGradWeight(const LinearGradWeightArgs& a, PreparedCall*, KernelContext&) {
  const int64_t length = a.dy.dim[1];
  const int64_t columns = a.dw.dim[0];
  const int64_t depth = a.dw.dim[1];
  for (int64_t b = 0; b < a.dy.dim[0]; ++b) {
    for (int64_t n = 0; n < columns; ++n) {
      for (int64_t k = 0; k < depth; ++k) {
        double sum = 0.0;
        for (int64_t s = b * length; s < (b + 1) * length; ++s) {
          sum += Load(a.dy, s * columns + n) * RoundTo(a.dy.dtype, Load(a.x, s * depth + k));
        }
        Store(a.dw, n * depth + k, Load(a.dw, n * depth + k) + a.alpha * sum);
      }
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
