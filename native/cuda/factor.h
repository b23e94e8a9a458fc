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
};

struct ProductShape {
  int64_t rows, columns, depth;
  int64_t batches;  // one after the other into the same result, which then accumulates
  DType compute;    // both factors are rounded to it
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

}  // namespace lema::cuda
