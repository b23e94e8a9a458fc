// Attention on tensor cores, for heads of 64 and 128. Queries, keys, values and probabilities keep twice the bits of bf16:
// each number is the sum of two of them, x = high + low + O(2⁻¹⁶ x), and a product of two such numbers is three products of
// bf16, low · low left out. That is as exact as the f32 that they come from asks for (the op suite holds both paths to one
// tolerance), for three multiplications instead of one.
//
// A warp has 16 rows of its tile in registers; what they are multiplied with passes through shared memory, split as it is
// loaded. Sums run over heads and keys in steps of 16 from the first, so that no tile shows in a bit.
#pragma once

#include "cuda/attention.h"
#include "cuda/fragments.h"

namespace lema::cuda {

// Two numbers as pairs of bf16.
struct SplitPair {
  uint32_t high, low;
};
__device__ __forceinline__ SplitPair Split(float first, float second) {
  const uint32_t high = PackBf16(first, second);
  return {high, PackBf16(first - __uint_as_float(high << 16), second - __uint_as_float(high & 0xffff0000u))};
}

// kRows rows of a head in shared memory, swizzled.
template <int kRows, int kSize>
struct SplitRows {
  SharedArray<uint16_t, kRows * kSize> high, low;

  // From `row` on; zeros behind row `rows`.
  template <int kThreads>
  __device__ __forceinline__ void Load(const Head& head, int64_t row, int64_t rows) {
#pragma unroll 2
    for (int i = 0; i < kRows * kSize / 8 / kThreads; ++i) {
      const int own = static_cast<int>(threadIdx.x) + i * kThreads, r = own / (kSize / 8), d = own % (kSize / 8) * 8;
      uint32_t highs[4], lows[4];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float values[4] = {};
        if (row + r < rows) LoadFour(head.elements, head.first + (row + r) * head.stride + d + half * 4, 4, values);
#pragma unroll
        for (int pair = 0; pair < 2; ++pair) {
          const SplitPair split = Split(values[pair * 2], values[pair * 2 + 1]);
          highs[half * 2 + pair] = split.high;
          lows[half * 2 + pair] = split.low;
        }
      }
      PutEight(high, Swizzled<kSize>(r, d), highs);
      PutEight(low, Swizzled<kSize>(r, d), lows);
    }
  }
};

// The same of a head that is bf16.
template <int kRows, int kSize, int kThreads, typename Array>
__device__ __forceinline__ void LoadBf16(const Head& head, int64_t row, int64_t rows, Array& to) {
#pragma unroll
  for (int i = 0; i < kRows * kSize / 8 / kThreads; ++i) {
    const int own = static_cast<int>(threadIdx.x) + i * kThreads, r = own / (kSize / 8), d = own % (kSize / 8) * 8;
    uint32_t eight[4] = {};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float values[4] = {};
      if (row + r < rows) LoadFour(head.elements, head.first + (row + r) * head.stride + d + half * 4, 4, values);
      eight[half * 2] = PackBf16(values[0], values[1]);
      eight[half * 2 + 1] = PackBf16(values[2], values[3]);
    }
    PutEight(to, Swizzled<kSize>(r, d), eight);
  }
}

// A left factor of 16 rows in registers, 16 deep.
struct SplitFragment {
  uint32_t high[4], low[4];

  // Of two neighbouring blocks of 8 columns of sums.
  __device__ __forceinline__ void Take(const float (&first)[4], const float (&second)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float (&from)[4] = i < 2 ? first : second;
      const SplitPair split = Split(from[i % 2 * 2], from[i % 2 * 2 + 1]);
      high[i] = split.high;
      low[i] = split.low;
    }
  }
  // Columns d to d + 15 of rows `row` and `row` + 8 of a head, zeros behind row `rows`.
  __device__ __forceinline__ void Take(const Head& head, int64_t row, int64_t rows, int d) {
    const int column = d + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t r = row + i % 2 * 8, at = head.first + r * head.stride + column + i / 2 * 8;
      const SplitPair split = r < rows ? Split(head.elements[at], head.elements[at + 1]) : SplitPair{0, 0};
      high[i] = split.high;
      low[i] = split.low;
    }
  }
};

// sums[j] += left · right, for two blocks of 8 columns whose fragments are `high` and `low`.
__device__ __forceinline__ void MultiplySplit(float (&first)[4], float (&second)[4], const SplitFragment& left, const uint32_t (&high)[4],
                                              const uint32_t (&low)[4]) {
  MultiplyBf16(first, left.low, high[0], high[1]);
  MultiplyBf16(second, left.low, high[2], high[3]);
  MultiplyBf16(first, left.high, low[0], low[1]);
  MultiplyBf16(second, left.high, low[2], low[3]);
  MultiplyBf16(first, left.high, high[0], high[1]);
  MultiplyBf16(second, left.high, high[2], high[3]);
}

// The same with a left factor that is bf16.
__device__ __forceinline__ void MultiplySplit(float (&first)[4], float (&second)[4], const uint32_t (&left)[4], const uint32_t (&high)[4],
                                              const uint32_t (&low)[4]) {
  MultiplyBf16(first, left, low[0], low[1]);
  MultiplyBf16(second, left, low[2], low[3]);
  MultiplyBf16(first, left, high[0], high[1]);
  MultiplyBf16(second, left, high[2], high[3]);
}

// The same with a right factor that is bf16.
__device__ __forceinline__ void MultiplySplit(float (&first)[4], float (&second)[4], const SplitFragment& left, const uint32_t (&high)[4]) {
  MultiplyBf16(first, left.low, high[0], high[1]);
  MultiplyBf16(second, left.low, high[2], high[3]);
  MultiplyBf16(first, left.high, high[0], high[1]);
  MultiplyBf16(second, left.high, high[2], high[3]);
}

// 16 rows × kSize of sums times `factors` to rows `row` and `row` + 8 of a head, where they are below `rows`.
template <int kSize>
__device__ __forceinline__ void StoreSums(const Head& head, int64_t row, int64_t rows, const float (&sums)[kSize / 8][4], float factor,
                                          float factor_of_eighth) {
  const int column = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t r = row + half * 8;
    if (r >= rows) continue;
    const float by = half == 0 ? factor : factor_of_eighth;
#pragma unroll
    for (int j = 0; j < kSize / 8; ++j) {
      const int64_t at = head.first + r * head.stride + j * 8 + column;
      head.elements.Store(at, sums[j][half * 2] * by);
      head.elements.Store(at + 1, sums[j][half * 2 + 1] * by);
    }
  }
}

}  // namespace lema::cuda
