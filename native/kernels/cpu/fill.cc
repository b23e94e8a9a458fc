// y[i] = value.
#include "generated/ops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareFill(const FillArgs&, int, Preparation*) { return Status::Ok(); }

Status Fill(const FillArgs& a, PreparedCall*, KernelContext& context) {
  ForChunks(context.runner, a.y.elements(), kChunk, [&](int64_t first, int64_t count) {
    std::fill_n(a.y.as<float>() + first, count, a.value);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
