// y = silu(gate) · up.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareSwiglu(const SwigluArgs&, int, Preparation*) { return Status::Ok(); }

Status Swiglu(const SwigluArgs& a, PreparedCall*, KernelContext& context) {
  ForChunks(context.runner, a.y.elements(), kChunk, [&](int64_t first, int64_t count) {
    ActiveLoops().swiglu(a.gate.as<const float>() + first, a.up.as<const float>() + first, At(a.y, first), a.y.dtype,
                         count);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
