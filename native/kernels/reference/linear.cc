// y (+)= alpha · x · wᵀ, the weight in the dtype of x.
#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareLinear(const LinearArgs& a, int, Preparation*) {
  return CheckProduct(a.row_tile, a.column_tile, a.f16_factors);
}

Status Linear(const LinearArgs& a, PreparedCall*, KernelContext&) {
  const int64_t columns = a.w.dim[0];
  const int64_t depth = a.w.dim[1];
  for (int64_t row = 0; row < a.x.dim[0] * a.x.dim[1]; ++row) {
    for (int64_t n = 0; n < columns; ++n) {
      double sum = 0.0;
      for (int64_t k = 0; k < depth; ++k) sum += Load(a.x, row * depth + k) * RoundTo(a.x.dtype, Load(a.w, n * depth + k));
      const int64_t at = row * columns + n;
      Store(a.y, at, a.alpha * sum + (a.y_accumulate ? Load(a.y, at) : 0.0));
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
