// y = a + b. May run in place.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareAdd(const AddArgs&, int, Preparation*) { return Status::Ok(); }

Status Add(const AddArgs& a, PreparedCall*, KernelContext& context) {
  ForChunks(context.runner, a.y.elements(), kChunk, [&](int64_t first, int64_t count) {
    ActiveLoops().add(a.a.as<const float>() + first, a.b.as<const float>() + first, a.y.as<float>() + first, count);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
