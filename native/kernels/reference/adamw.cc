// AdamW as torch.optim.AdamW(foreach=False) computes it, each operation rounded to f32: this order is the definition.
#include <cmath>

#include "generated/ops.h"

namespace lema::reference {

Status PrepareAdamw(const AdamwArgs&, int, Preparation*) { return Status::Ok(); }

Status Adamw(const AdamwArgs& a, PreparedCall*, KernelContext&) {
  if (*a.skip.as<const int32_t>() != 0) return Status::Ok();
  const float clip = *a.clip.as<const float>();
  const float step_size = *a.step_size.as<const float>();
  const float decay = *a.decay.as<const float>();
  const float bias_correction = *a.bias_correction.as<const float>();
  const float first_weight = static_cast<float>(1.0 - a.beta1);
  const float second_decay = static_cast<float>(a.beta2);
  const float second_weight = static_cast<float>(1.0 - a.beta2);
  for (int64_t i = 0; i < a.param.elements(); ++i) {
    const float gradient = clip * a.grad.as<const float>()[i];
    float& param = a.param.as<float>()[i];
    float& first = a.first_moment.as<float>()[i];
    float& second = a.second_moment.as<float>()[i];
    param = param * decay;
    first = first + first_weight * (gradient - first);
    second = second * second_decay;
    second = second + second_weight * gradient * gradient;
    const float denominator = std::sqrt(second) / bias_correction + a.epsilon;
    param = param - step_size * first / denominator;
  }
  return Status::Ok();
}

}  // namespace lema::reference
