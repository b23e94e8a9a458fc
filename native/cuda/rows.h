// Kernels in which a block has whole rows. A thread always takes the same elements of a row, in the same order, so that the
// sums over a row do not depend on its address.
#pragma once

#include "cuda/device.h"
#include "cuda/launch.h"

namespace lema::cuda {

inline constexpr int kRowThreads = 256;
inline constexpr int kRowStep = kRowThreads * 4;  // elements from one of a thread's fours to its next

// A thread holds up to 8 fours. Of a row that has more it holds 6: the loops over the others take registers too.
inline constexpr int kFoursOfLongRow = 6;

// body(h, left) for this thread's share of the multiples of 4 in [begin, width), begin one of kRowStep; `left` elements
// stand from h to the end.
template <typename Body>
__device__ __forceinline__ void ForFoursOfRow(int64_t begin, int64_t width, const Body& body) {
  for (int64_t h = begin + static_cast<int64_t>(threadIdx.x) * 4; h < width; h += kRowStep) body(h, width - h);
}

template <typename Body>
__device__ __forceinline__ void ForFoursOfRow(int64_t width, const Body& body) {
  ForFoursOfRow(0, width, body);
}

// A thread's first kFours fours of a row, kept in registers: they are asked for together, so that one wait serves them
// all, and a second pass over the row does not read them again. `width` is that of the row, 0 for no row.
template <int kFours>
struct HeldFours {
  static constexpr bool kWhole = kFours != kFoursOfLongRow;  // no row has more
  static constexpr int kElements = kFours * kRowStep;  // of a row, held by the whole block

  float at[kFours][4];

  // body(four, h) for those that the row has.
  template <typename Body>
  __device__ __forceinline__ static void For(int64_t width, const Body& body) {
    const int held = width < kElements ? static_cast<int>(width) : kElements;
#pragma unroll
    for (int four = 0; four < kFours; ++four) {
      const int h = four * kRowStep + static_cast<int>(threadIdx.x) * 4;
      if (h < held) body(four, h);
    }
  }

  // For the part of a long row that no thread holds.
  template <typename Body>
  __device__ __forceinline__ static void ForOthers(int64_t width, const Body& body) {
    if constexpr (!kWhole) ForFoursOfRow(kElements, width, body);
  }

  template <typename T>
  __device__ __forceinline__ void Load(const T* row, int64_t width) {
    if (width % 4 == 0 && IsAligned(row)) {
      For(width, [&](int four, int h) { LoadFour(row + h, at[four]); });
    } else {
      For(width, [&](int four, int h) { LoadFour(row + h, width - h, at[four]); });
    }
  }

  template <typename T>
  __device__ __forceinline__ void Store(T* row, int64_t width) const {
    if (width % 4 == 0 && IsAligned(row)) {
      For(width, [&](int four, int h) { StoreFour(row + h, at[four]); });
    } else {
      For(width, [&](int four, int h) { StoreFour(row + h, width - h, at[four]); });
    }
  }

  // The row begins at the first-th element.
  __device__ __forceinline__ void Load(const Elements& from, int64_t first, int64_t width) {
    switch (from.dtype) {
      case DType::kBF16: return Load(static_cast<const BF16*>(from.data) + first, width);
      case DType::kF16: return Load(static_cast<const F16*>(from.data) + first, width);
      default: return Load(static_cast<const float*>(from.data) + first, width);
    }
  }

  __device__ __forceinline__ void Store(const Elements& to, int64_t first, int64_t width) const {
    if (to.dtype == DType::kBF16) return Store(static_cast<BF16*>(to.data) + first, width);
    return Store(static_cast<float*>(to.data) + first, width);
  }
};

// body.operator()<kRows, kFours>() with how many rows a block takes at once, and how many fours of each a thread holds. A
// short row alone is too few bytes for one wait. What is computed of a row, and in which order, does not depend on it.
template <typename Body>
Status WithHeldRows(int64_t width, const Body& body) {
  if (width <= kRowStep) return body.template operator()<4, 1>();
  if (width <= 2 * kRowStep) return body.template operator()<2, 2>();
  if (width <= 4 * kRowStep) return body.template operator()<1, 4>();
  if (width <= 8 * kRowStep) return body.template operator()<1, 8>();
  return body.template operator()<1, kFoursOfLongRow>();
}

// Over a block, each of kCount values by itself and in the order of BlockSum; every thread gets the results. Every thread
// of the block calls it, once in a kernel.
template <int kCount>
struct RowSums {
  static constexpr int kWarps = kRowThreads / kWarp;
  SharedArray<float, kCount * kWarps> of_warp;

  __device__ __forceinline__ static void Of(float (&values)[kCount]) {
    RowSums& shared = Shared<RowSums>();
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = SumOfLanes<kWarp>(values[i]);
    if (thread % kWarp == 0) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) shared.of_warp[i * kWarps + thread / kWarp] = values[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      float parts[2][4];
      shared.of_warp.Get(i * kWarps, parts[0]);
      shared.of_warp.Get(i * kWarps + 4, parts[1]);
      values[i] = parts[0][0];
#pragma unroll
      for (int warp = 1; warp < kWarps; ++warp) values[i] += parts[warp / 4][warp % 4];
    }
  }
};

}  // namespace lema::cuda
