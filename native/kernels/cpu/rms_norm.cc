// y = x · (mean(x²) + epsilon)^(−1/2) · weight.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareRmsNorm(const RmsNormArgs&, int, Preparation*) { return Status::Ok(); }

Status RmsNorm(const RmsNormArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t width = a.weight.dim[0];
  ForRows(context.runner, a.x.dim[0] * a.x.dim[1], width, [&](int64_t row) {
    ActiveLoops().rms_norm(a.x.as<const float>() + row * width, From(a.weight), At(a.y, row * width), a.y.dtype, width,
                           a.epsilon);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
