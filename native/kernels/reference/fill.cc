// y[i] = value.
#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareFill(const FillArgs&, int, Preparation*) { return Status::Ok(); }

Status Fill(const FillArgs& a, PreparedCall*, KernelContext&) {
  for (int64_t i = 0; i < a.y.elements(); ++i) Store(a.y, i, a.value);
  return Status::Ok();
}

}  // namespace lema::reference
