// What a matrix product is of, for every kernel that computes one: result[m, n] = Σ_k left(m, k) · right(n, k).
#pragma once

#include "cuda/device.h"
#include "cuda/fragments.h"

namespace lema::cuda {

// One factor: element (i, k) stands at i·stride + k along the depth, else at k·stride + i.
struct Factor {
  Elements elements;
  int64_t stride;
  int64_t batch = 0;  // elements from one sequence to the next
  // By Product:
  bool along_depth = false;
  bool round_to_bf16 = false;  // the product runs in bf16, and this factor is stored otherwise
  bool by_sixteen_bytes = false;  // bf16 whose rows all begin on 16 bytes
  // In f16, of a factor that is stored otherwise, [batches, outers]; by FindExponents.
  const uint8_t* exponents = nullptr;
};

struct ProductShape {
  int64_t rows, columns, depth;
  int64_t batches;  // one after the other into the same result, which then accumulates
  DType compute;    // both factors are rounded to it; in f16 they are f32 where the device has no units for it
};

// result (+)= alpha · product.
struct ScaledResult {
  Elements elements;
  int64_t stride;
  float alpha;
  bool accumulate;

  __device__ __forceinline__ void Store(int64_t row, int64_t column, int64_t count, const float (&sums)[4]) const {
    const int64_t at = row * stride + column;
    float values[4];
    if (accumulate) {
      LoadFour(elements, at, count, values);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float scaled = __fmul_rn(alpha, sums[i]);
      values[i] = accumulate ? __fadd_rn(values[i], scaled) : scaled;
    }
    StoreFour(elements, at, count, values);
  }
};

// What a warp of tensor cores has summed, from a row and a column on, in 16 × 8 as MultiplyBf16 leaves them.
template <int kDown, int kAcross, typename Result>
__device__ __forceinline__ void StoreFragments(const float (&sums)[kDown][kAcross][4], int64_t first_row, int64_t first_column,
                                               const ProductShape& shape, const Result& result) {
  // Two lanes exchange halves of two rows, so that each has four neighbours of one.
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool odd = lane % 2 != 0;
  const int64_t row = NotAhead(first_row + lane / 4 + (odd ? 8 : 0));
  const int64_t column = NotAhead(first_column + lane % 4 / 2 * 4);
#pragma unroll
  for (int i = 0; i < kDown; ++i) {
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
      const float (&own)[4] = sums[i][j];
      const float first = __shfl_xor_sync(0xffffffffu, odd ? own[0] : own[2], 1);
      const float second = __shfl_xor_sync(0xffffffffu, odd ? own[1] : own[3], 1);
      const float four[4] = {odd ? first : own[0], odd ? second : own[1], odd ? own[2] : first, odd ? own[3] : second};
      if (row + i * 16 < shape.rows && column + j * 8 < shape.columns) {
        result.Store(row + i * 16, column + j * 8, shape.columns - column - j * 8, four);
      }
    }
  }
}

}  // namespace lema::cuda
