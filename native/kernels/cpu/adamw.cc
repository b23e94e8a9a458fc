// AdamW, each operation rounded to f32 in the order of the reference kernel: bits equal on every device.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareAdamw(const AdamwArgs&, int, Preparation*) { return Status::Ok(); }

Status Adamw(const AdamwArgs& a, PreparedCall*, KernelContext& context) {
  if (*a.skip.as<const int32_t>() != 0) return Status::Ok();
  const AdamwScalars scalars{.clip = *a.clip.as<const float>(),
                             .step_size = *a.step_size.as<const float>(),
                             .decay = *a.decay.as<const float>(),
                             .bias_correction = *a.bias_correction.as<const float>(),
                             .first_weight = static_cast<float>(1.0 - a.beta1),
                             .second_decay = static_cast<float>(a.beta2),
                             .second_weight = static_cast<float>(1.0 - a.beta2),
                             .epsilon = a.epsilon};
  ForChunks(context.runner, a.param.elements(), kChunk, [&](int64_t first, int64_t count) {
    ActiveLoops().adamw(a.param.as<float>() + first, a.grad.as<const float>() + first, a.first_moment.as<float>() + first,
                        a.second_moment.as<float>() + first, scalars, count);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
