// dx (+)= alpha · dy · w, the weight in the dtype of dy.
#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareLinearGradInput(const LinearGradInputArgs& a, int, Preparation*) {
  return CheckProduct(a.row_tile, a.column_tile, a.f16_factors);
}

Status LinearGradInput(const LinearGradInputArgs& a, PreparedCall*, KernelContext&) {
  const int64_t columns = a.w.dim[0];
  const int64_t depth = a.w.dim[1];
  for (int64_t row = 0; row < a.dy.dim[0] * a.dy.dim[1]; ++row) {
    for (int64_t k = 0; k < depth; ++k) {
      double sum = 0.0;
      for (int64_t n = 0; n < columns; ++n) {
        sum += Load(a.dy, row * columns + n) * RoundTo(a.dy.dtype, Load(a.w, n * depth + k));
      }
      const int64_t at = row * depth + k;
      Store(a.dx, at, a.alpha * sum + (a.dx_accumulate ? Load(a.dx, at) : 0.0));
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
