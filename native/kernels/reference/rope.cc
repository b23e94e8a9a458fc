// y₁ = x₁·cos − d·x₂·sin, y₂ = x₂·cos + d·x₁·sin on the halves of every head.
#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareRope(const RopeArgs& a, int, Preparation*) {
  return CheckRope(a.x, a.cosine, a.direction);
}

Status Rope(const RopeArgs& a, PreparedCall*, KernelContext&) {
  const int64_t heads = a.x.dim[2];
  const int64_t pairs = a.cosine.dim[2];
  for (int64_t token = 0; token < a.x.dim[0] * a.x.dim[1]; ++token) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t first = (token * heads + head) * 2 * pairs;
      for (int64_t p = 0; p < pairs; ++p) {
        const double cosine = Load(a.cosine, token * pairs + p);
        const double sine = a.direction * Load(a.sine, token * pairs + p);
        const int64_t low = first + p;
        const int64_t high = low + pairs;
        const double x1 = Load(a.x, low);
        const double x2 = Load(a.x, high);
        Store(a.y, low, x1 * cosine - x2 * sine + (a.y_accumulate ? Load(a.y, low) : 0.0));
        Store(a.y, high, x2 * cosine + x1 * sine + (a.y_accumulate ? Load(a.y, high) : 0.0));
      }
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
