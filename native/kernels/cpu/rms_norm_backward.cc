// dx (+)= r·(w·dy) − x·r³·mean(w·dy·x).
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareRmsNormBackward(const RmsNormBackwardArgs&, int, Preparation*) { return Status::Ok(); }

Status RmsNormBackward(const RmsNormBackwardArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t width = a.weight.dim[0];
  ForRows(context.runner, a.x.dim[0] * a.x.dim[1], width, [&](int64_t row) {
    ActiveLoops().rms_norm_backward(From(a.dy, row * width), a.x.as<const float>() + row * width, From(a.weight),
                                    a.dx.as<float>() + row * width, a.dx_accumulate, width, a.epsilon);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
