// dup = dy·silu(gate); dgate = dy·up·σ(gate)·(1 + gate·(1 − σ(gate))).
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareSwigluBackward(const SwigluBackwardArgs&, int, Preparation*) { return Status::Ok(); }

Status SwigluBackward(const SwigluBackwardArgs& a, PreparedCall*, KernelContext&) {
  for (int64_t i = 0; i < a.dy.elements(); ++i) {
    const double dy = Load(a.dy, i);
    const double gate = Load(a.gate, i);
    const double up = Load(a.up, i);
    const double sigmoid = 1.0 / (1.0 + std::exp(-gate));
    Store(a.dup, i, dy * gate * sigmoid);
    Store(a.dgate, i, dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid)));
  }
  return Status::Ok();
}

}  // namespace lema::reference
