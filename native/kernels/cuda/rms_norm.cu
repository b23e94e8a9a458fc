// y = x · (mean(x²) + epsilon)^(−1/2) · weight: one block a row.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void __launch_bounds__(kRowThreads) RmsNormKernel(const float* x, Elements weight, Elements y, int64_t width, float epsilon) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * width;
  float squares = 0.0f;
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4];
    LoadFour(x + first + h, left, v);
#pragma unroll
    for (int e = 0; e < 4; ++e) squares = fmaf(v[e], v[e], squares);
  });
  squares = BlockSum<kRowThreads, float>::Of(squares);
  const float inverse = 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4], w[4];
    LoadFour(x + first + h, left, v);
    LoadFour(weight, h, left, w);
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = v[e] * inverse * w[e];
    StoreFour(y, first + h, left, v);
  });
}

}  // namespace

Status PrepareRmsNorm(const RmsNormArgs&, DevicePreparation*) { return Status::Ok(); }

Status RmsNorm(const RmsNormArgs& a, const LaunchContext& context) {
  const auto rows = static_cast<unsigned>(a.x.dim[0] * a.x.dim[1]);
  return Launch(RmsNormKernel, {rows, 1, 1}, kRowThreads, context, a.x.as<const float>(), ElementsOf(a.weight), ElementsOf(a.y),
                a.weight.dim[0], a.epsilon);
}

}  // namespace lema::cuda
