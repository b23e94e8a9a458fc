// y = x · (mean(x²) + epsilon)^(−1/2) · weight: a block takes kRows rows at once and holds them between the two passes.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

template <int kRows, int kFours>
__global__ void __launch_bounds__(kRowThreads)
    RmsNormKernel(const float* x, Elements weight, Elements y, int64_t rows, int64_t width, float epsilon) {
  using Held = HeldFours<kFours>;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * kRows;
  const auto width_of = [&](int r) { return first_row + r < rows ? width : 0; };
  const auto first_of = [&](int r) { return (first_row + r) * width; };
  Held v[kRows], w;
#pragma unroll
  for (int r = 0; r < kRows; ++r) v[r].Load(x + first_of(r), width_of(r));
  w.Load(weight, 0, width);

  float squares[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    squares[r] = 0.0f;
    const auto add = [&](const float(&values)[4]) {
#pragma unroll
      for (int e = 0; e < 4; ++e) squares[r] = fmaf(values[e], values[e], squares[r]);
    };
    Held::For(width_of(r), [&](int four, int) { add(v[r].at[four]); });
    Held::ForOthers(width_of(r), [&](int64_t h, int64_t left) {
      float values[4];
      LoadFour(x + first_of(r) + h, left, values);
      add(values);
    });
  }
  RowSums<kRows>::Of(squares);

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float inverse = 1.0f / sqrtf(squares[r] / static_cast<float>(width) + epsilon);
    const auto scale = [&](float(&values)[4], const float(&weights)[4]) {
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] = values[e] * inverse * weights[e];
    };
    Held::For(width_of(r), [&](int four, int) { scale(v[r].at[four], w.at[four]); });
    v[r].Store(y, first_of(r), width_of(r));
    Held::ForOthers(width_of(r), [&](int64_t h, int64_t left) {
      float values[4], weights[4];
      LoadFour(x + first_of(r) + h, left, values);
      LoadFour(weight, h, left, weights);
      scale(values, weights);
      StoreFour(y, first_of(r) + h, left, values);
    });
  }
}

}  // namespace

Status PrepareRmsNorm(const RmsNormArgs&, DevicePreparation*) { return Status::Ok(); }

Status RmsNorm(const RmsNormArgs& a, const LaunchContext& context) {
  const int64_t rows = a.x.dim[0] * a.x.dim[1], width = a.weight.dim[0];
  return WithHeldRows(width, [&]<int kRows, int kFours>() {
    return Launch(RmsNormKernel<kRows, kFours>, {Blocks(rows, kRows), 1, 1}, kRowThreads, context, a.x.as<const float>(),
                  ElementsOf(a.weight), ElementsOf(a.y), rows, width, a.epsilon);
  });
}

}  // namespace lema::cuda
