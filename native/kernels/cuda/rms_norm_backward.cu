// dx (+)= r·(w·dy) − x·r³·mean(w·dy·x): one block a row.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void __launch_bounds__(kRowThreads)
    RmsNormBackwardKernel(Elements dy, const float* x, Elements weight, float* dx, bool accumulate, int64_t width, float epsilon) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * width;
  float squares = 0.0f, products = 0.0f;
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4], d[4], w[4];
    LoadFour(x + first + h, left, v);
    LoadFour(dy, first + h, left, d);
    LoadFour(weight, h, left, w);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      squares = fmaf(v[e], v[e], squares);
      products = fmaf(w[e] * d[e], v[e], products);
    }
  });
  squares = BlockSum<kRowThreads, float>::Of(squares);
  products = BlockSum<kRowThreads, float>::Of(products);
  const float count = static_cast<float>(width);
  const float r = 1.0f / sqrtf(squares / count + epsilon);
  const float along = r * r * r * products / count;
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4], d[4], w[4], before[4];
    LoadFour(x + first + h, left, v);
    LoadFour(dy, first + h, left, d);
    LoadFour(weight, h, left, w);
    if (accumulate) LoadFour(dx + first + h, left, before);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float gradient = r * w[e] * d[e] - v[e] * along;
      v[e] = accumulate ? gradient + before[e] : gradient;
    }
    StoreFour(dx + first + h, left, v);
  });
}

}  // namespace

Status PrepareRmsNormBackward(const RmsNormBackwardArgs&, DevicePreparation*) { return Status::Ok(); }

Status RmsNormBackward(const RmsNormBackwardArgs& a, const LaunchContext& context) {
  const auto rows = static_cast<unsigned>(a.x.dim[0] * a.x.dim[1]);
  return Launch(RmsNormBackwardKernel, {rows, 1, 1}, kRowThreads, context, ElementsOf(a.dy), a.x.as<const float>(),
                ElementsOf(a.weight), a.dx.as<float>(), a.dx_accumulate, a.weight.dim[0], a.epsilon);
}

}  // namespace lema::cuda
