// loss = log(sum) + maximum − label_logit; dx = (expected_row / sum − label_row) · inverse_tokens: one block a row.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

__global__ void CrossEntropyFinishKernel(const int32_t* labels, const float* maximum, const float* sum, const float* label_logit,
                                         const float* expected_row, const float* label_row, const float* inverse_tokens,
                                         float* losses, float* dx, int64_t width) {
  const int64_t row = blockIdx.x;
  const bool supervised = labels[row] != kIgnoredLabel;
  const float total = sum[row];
  if (threadIdx.x == 0) losses[row] = supervised ? logf(total) + maximum[row] - label_logit[row] : 0.0f;
  if (dx == nullptr) return;
  const float scale = *inverse_tokens;
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4] = {}, l[4];
    if (supervised) {
      LoadFour(expected_row + row * width + h, left, v);
      LoadFour(label_row + row * width + h, left, l);
#pragma unroll
      for (int e = 0; e < 4; ++e) v[e] = (v[e] / total - l[e]) * scale;
    }
    StoreFour(dx + row * width + h, left, v);
  });
}

}  // namespace

Status PrepareCrossEntropyFinish(const CrossEntropyFinishArgs& a, DevicePreparation*) {
  return CheckCrossEntropyFinish(a.expected_row, a.label_row, a.dx);
}

Status CrossEntropyFinish(const CrossEntropyFinishArgs& a, const LaunchContext& context) {
  return Launch(CrossEntropyFinishKernel, {static_cast<unsigned>(a.labels.elements()), 1, 1}, kRowThreads, context,
                a.labels.as<const int32_t>(), a.maximum.as<const float>(), a.sum.as<const float>(), a.label_logit.as<const float>(),
                a.expected_row.as<const float>(), a.label_row.as<const float>(), a.inverse_tokens.as<const float>(),
                a.losses.as<float>(), a.dx.as<float>(), a.dx.present() ? a.dx.dim[2] : 0);
}

}  // namespace lema::cuda
