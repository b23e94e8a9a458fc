// dup = dy·silu(gate); dgate = dy·up·σ(gate)·(1 + gate·(1 − σ(gate))).
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareSwigluBackward(const SwigluBackwardArgs&, int, Preparation*) { return Status::Ok(); }

Status SwigluBackward(const SwigluBackwardArgs& a, PreparedCall*, KernelContext& context) {
  ForChunks(context.runner, a.dy.elements(), kChunk, [&](int64_t first, int64_t count) {
    ActiveLoops().swiglu_backward(From(a.dy, first), a.gate.as<const float>() + first, a.up.as<const float>() + first,
                                  At(a.dgate, first), a.dgate.dtype, At(a.dup, first), a.dup.dtype, count);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
