// y₁ = x₁·cos − d·x₂·sin, y₂ = x₂·cos + d·x₁·sin on the halves of every head. May run in place.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {

Status PrepareRope(const RopeArgs& a, int, Preparation*) {
  return CheckRope(a.x, a.cosine, a.direction);
}

Status Rope(const RopeArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t heads = a.x.dim[2];
  const int64_t pairs = a.cosine.dim[2];
  ForRows(context.runner, a.x.dim[0] * a.x.dim[1], heads * 2 * pairs, [&](int64_t token) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t first = (token * heads + head) * 2 * pairs;
      ActiveLoops().rope(a.x.as<const float>() + first, a.cosine.as<const float>() + token * pairs,
                         a.sine.as<const float>() + token * pairs, static_cast<float>(a.direction), At(a.y, first),
                         a.y.dtype, a.y_accumulate, pairs);
    }
  });
  return Status::Ok();
}

}  // namespace lema::cpu
