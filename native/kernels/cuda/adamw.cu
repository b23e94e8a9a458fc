// AdamW, each operation rounded to f32 in the order of the reference kernel: bits equal on every device.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

struct Scalars {
  const float* clip;
  const int32_t* skip;
  const float* step_size;
  const float* decay;
  const float* bias_correction;
  float first_weight, second_decay, second_weight, epsilon;
};

__global__ void AdamwKernel(float* param, const float* grad, float* first_moment, float* second_moment, Scalars s, int64_t count) {
  if (*s.skip != 0) return;
  const float clip = *s.clip, step_size = *s.step_size, decay = *s.decay, bias_correction = *s.bias_correction;
  ForFours(count, [&](int64_t i, int64_t left) {
    float p[4], g[4], m[4], v[4];
    LoadFour(param + i, left, p);
    LoadFour(grad + i, left, g);
    LoadFour(first_moment + i, left, m);
    LoadFour(second_moment + i, left, v);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float gradient = __fmul_rn(clip, g[e]);
      p[e] = __fmul_rn(p[e], decay);
      m[e] = __fadd_rn(m[e], __fmul_rn(s.first_weight, __fsub_rn(gradient, m[e])));
      v[e] = __fmul_rn(v[e], s.second_decay);
      v[e] = __fadd_rn(v[e], __fmul_rn(__fmul_rn(s.second_weight, gradient), gradient));
      const float denominator = __fadd_rn(__fdiv_rn(__fsqrt_rn(v[e]), bias_correction), s.epsilon);
      p[e] = __fsub_rn(p[e], __fdiv_rn(__fmul_rn(step_size, m[e]), denominator));
    }
    StoreFour(param + i, left, p);
    StoreFour(first_moment + i, left, m);
    StoreFour(second_moment + i, left, v);
  });
}

}  // namespace

Status PrepareAdamw(const AdamwArgs&, DevicePreparation*) { return Status::Ok(); }

Status Adamw(const AdamwArgs& a, const LaunchContext& context) {
  const Scalars scalars{.clip = a.clip.as<const float>(),
                        .skip = a.skip.as<const int32_t>(),
                        .step_size = a.step_size.as<const float>(),
                        .decay = a.decay.as<const float>(),
                        .bias_correction = a.bias_correction.as<const float>(),
                        .first_weight = static_cast<float>(1.0 - a.beta1),
                        .second_decay = static_cast<float>(a.beta2),
                        .second_weight = static_cast<float>(1.0 - a.beta2),
                        .epsilon = a.epsilon};
  return LaunchFours(AdamwKernel, a.param.elements(), context, a.param.as<float>(), a.grad.as<const float>(),
                     a.first_moment.as<float>(), a.second_moment.as<float>(), scalars);
}

}  // namespace lema::cuda
