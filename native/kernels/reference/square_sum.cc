// y = Σ x²: f64 sums over chunks of 4,096 elements, added in order.
#include <algorithm>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareSquareSum(const SquareSumArgs&, int, Preparation*) { return Status::Ok(); }

Status SquareSum(const SquareSumArgs& a, PreparedCall*, KernelContext&) {
  constexpr int64_t kChunk = 4096;
  const int64_t count = a.x.elements();
  double total = 0.0;
  for (int64_t first = 0; first < count; first += kChunk) {
    double sum = 0.0;
    for (int64_t i = first; i < std::min(first + kChunk, count); ++i) sum += Load(a.x, i) * Load(a.x, i);
    total += sum;
  }
  Store(a.y, 0, total);
  return Status::Ok();
}

}  // namespace lema::reference
