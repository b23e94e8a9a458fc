// loss = (Σ_b Σ_s losses[b,s]) · inverse_tokens, in f64.
#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareReduceLoss(const ReduceLossArgs&, int, Preparation*) { return Status::Ok(); }

Status ReduceLoss(const ReduceLossArgs& a, PreparedCall*, KernelContext&) {
  double total = 0.0;
  for (int64_t i = 0; i < a.losses.elements(); ++i) total += Load(a.losses, i);
  Store(a.loss, 0, total * Load(a.inverse_tokens, 0));
  return Status::Ok();
}

}  // namespace lema::reference
