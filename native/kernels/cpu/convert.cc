// y (+)= x in the dtype of y.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareConvert(const ConvertArgs&, int, Preparation*) { return Status::Ok(); }

Status Convert(const ConvertArgs& a, PreparedCall*, KernelContext& context) {
  ForChunks(context.runner, a.y.elements(), kChunk, [&](int64_t first, int64_t count) {
    ActiveLoops().convert(From(a.x, first), At(a.y, first), a.y.dtype, a.y_accumulate, count);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
