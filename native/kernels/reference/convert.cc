// y (+)= x in the dtype of y.
#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareConvert(const ConvertArgs&, int, Preparation*) { return Status::Ok(); }

Status Convert(const ConvertArgs& a, PreparedCall*, KernelContext&) {
  for (int64_t i = 0; i < a.y.elements(); ++i) {
    Store(a.y, i, Load(a.x, i) + (a.y_accumulate ? Load(a.y, i) : 0.0));
  }
  return Status::Ok();
}

}  // namespace lema::reference
