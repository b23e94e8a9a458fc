// y = a + b.
#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareAdd(const AddArgs&, int, Preparation*) { return Status::Ok(); }

Status Add(const AddArgs& a, PreparedCall*, KernelContext&) {
  for (int64_t i = 0; i < a.y.elements(); ++i) Store(a.y, i, Load(a.a, i) + Load(a.b, i));
  return Status::Ok();
}

}  // namespace lema::reference
