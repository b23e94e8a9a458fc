// dx (+)= r·(w·dy) − x·r³·mean(w·dy·x): a block takes kRows rows at once and holds them between the two passes.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

// The dtype of dy is a parameter of the template, so that dy is on its way together with x: of Elements the conversion,
// and so the wait, would stand inside of the branch.
template <typename T, int kRows, int kFours>
__global__ void __launch_bounds__(kRowThreads, kFours > 4 ? 2 : 3)
    RmsNormBackwardKernel(const T* dy, const float* x, Elements weight, float* dx, bool accumulate, int64_t rows, int64_t width,
                          float epsilon) {
  using Held = HeldFours<kFours>;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * kRows;
  const auto width_of = [&](int r) { return first_row + r < rows ? width : 0; };
  const auto first_of = [&](int r) { return (first_row + r) * width; };
  Held v[kRows], d[kRows], w;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    v[r].Load(x + first_of(r), width_of(r));
    d[r].Load(dy + first_of(r), width_of(r));
  }
  w.Load(weight, 0, width);

  float sums[2 * kRows];  // x² and w·dy·x of each row
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    float &squares = sums[2 * r], &products = sums[2 * r + 1];
    squares = products = 0.0f;
    const auto add = [&](const float(&values)[4], const float(&gradients)[4], const float(&weights)[4]) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        squares = fmaf(values[e], values[e], squares);
        products = fmaf(weights[e] * gradients[e], values[e], products);
      }
    };
    Held::For(width_of(r), [&](int four, int) { add(v[r].at[four], d[r].at[four], w.at[four]); });
    Held::ForOthers(width_of(r), [&](int64_t h, int64_t left) {
      float values[4], gradients[4], weights[4];
      LoadFour(x + first_of(r) + h, left, values);
      LoadFour(dy + first_of(r) + h, left, gradients);
      LoadFour(weight, h, left, weights);
      add(values, gradients, weights);
    });
  }
  RowSums<2 * kRows>::Of(sums);

  const float count = static_cast<float>(width);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float inverse = 1.0f / sqrtf(sums[2 * r] / count + epsilon);
    const float along = inverse * inverse * inverse * sums[2 * r + 1] / count;
    const auto differentiate = [&](float(&values)[4], const float(&gradients)[4], const float(&weights)[4]) {
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] = inverse * weights[e] * gradients[e] - values[e] * along;
    };
    Held::For(width_of(r), [&](int four, int) { differentiate(v[r].at[four], d[r].at[four], w.at[four]); });
    if (accumulate) {
      Held before;
      before.Load(dx + first_of(r), width_of(r));
      Held::For(width_of(r), [&](int four, int) {
#pragma unroll
        for (int e = 0; e < 4; ++e) v[r].at[four][e] += before.at[four][e];
      });
    }
    v[r].Store(dx + first_of(r), width_of(r));
    Held::ForOthers(width_of(r), [&](int64_t h, int64_t left) {
      float values[4], gradients[4], weights[4], before[4];
      LoadFour(x + first_of(r) + h, left, values);
      LoadFour(dy + first_of(r) + h, left, gradients);
      LoadFour(weight, h, left, weights);
      if (accumulate) LoadFour(dx + first_of(r) + h, left, before);
      differentiate(values, gradients, weights);
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] = accumulate ? values[e] + before[e] : values[e];
      StoreFour(dx + first_of(r) + h, left, values);
    });
  }
}

template <typename T>
Status LaunchOf(const RmsNormBackwardArgs& a, const LaunchContext& context) {
  const int64_t rows = a.x.dim[0] * a.x.dim[1], width = a.weight.dim[0];
  return WithHeldRows(width, [&]<int kRows, int kFours>() {
    return Launch(RmsNormBackwardKernel<T, kRows, kFours>, {Blocks(rows, kRows), 1, 1}, kRowThreads, context, a.dy.as<const T>(),
                  a.x.as<const float>(), ElementsOf(a.weight), a.dx.as<float>(), a.dx_accumulate, rows, width, a.epsilon);
  });
}

}  // namespace

Status PrepareRmsNormBackward(const RmsNormBackwardArgs&, DevicePreparation*) { return Status::Ok(); }

Status RmsNormBackward(const RmsNormBackwardArgs& a, const LaunchContext& context) {
  return a.dy.dtype == DType::kBF16 ? LaunchOf<BF16>(a, context) : LaunchOf<float>(a, context);
}

}  // namespace lema::cuda
