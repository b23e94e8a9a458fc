// y = silu(gate) · up, silu(z) = z / (1 + e^(−z)).
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareSwiglu(const SwigluArgs&, int, Preparation*) { return Status::Ok(); }

Status Swiglu(const SwigluArgs& a, PreparedCall*, KernelContext&) {
  for (int64_t i = 0; i < a.y.elements(); ++i) {
    const double gate = Load(a.gate, i);
    Store(a.y, i, gate / (1.0 + std::exp(-gate)) * Load(a.up, i));
  }
  return Status::Ok();
}

}  // namespace lema::reference
