// What the attention kernels share. A block of 128 threads works on tiles of queries and keys in shared memory: eight
// groups of 16 lanes, a group for some rows, the lanes of a group for the columns. Dot products run over the head from
// its first element, sums over keys from the first key and over queries from the first query, so that no tile shows in a
// bit. Heads are padded with zeros to kSize.
#pragma once

#include "cuda/device.h"
#include "cuda/launch.h"

namespace lema::cuda {

inline constexpr int kAttentionThreads = 128;
inline constexpr int kAttentionLanes = 16;
inline constexpr int kAttentionGroups = kAttentionThreads / kAttentionLanes;

// One head of one sequence: rows of `size` elements, `stride` apart.
struct Head {
  Elements elements;
  int64_t first, stride;
};

__device__ __forceinline__ Head HeadOf(const Elements& elements, int64_t batch, int64_t length, int64_t heads, int64_t head, int64_t size) {
  return {elements, (batch * length * heads + head) * size, heads * size};
}

// `kRows` rows of a head from `row` on into shared memory; zeros behind row `rows` and element `size`.
template <int kRows, int kSize, typename Array>
__device__ __forceinline__ void LoadRows(const Head& head, int64_t row, int64_t rows, int64_t size, Array& to) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * (kSize / 4); i += kAttentionThreads) {
    const int r = i / (kSize / 4), d = i % (kSize / 4) * 4;
    float values[4] = {};
    if (row + r < rows && d < size) LoadFour(head.elements, head.first + (row + r) * head.stride + d, size - d, values);
#pragma unroll
    for (int e = 0; e < 4; ++e) to[r * (kSize + 4) + d + e] = values[e];
  }
}

// Dot products of kA rows of `a` (from `first_a` on) with kB rows of `b` (from `first_b` on, kAttentionLanes apart).
template <int kA, int kB, int kSize, typename ArrayA, typename ArrayB>
__device__ __forceinline__ void Dots(ArrayA& a, int first_a, ArrayB& b, int first_b, float (&dots)[kA][kB]) {
#pragma unroll
  for (int i = 0; i < kA; ++i) {
#pragma unroll
    for (int j = 0; j < kB; ++j) dots[i][j] = 0.0f;
  }
#pragma unroll 4
  for (int d = 0; d < kSize; d += 4) {
    float right[kB][4];
#pragma unroll
    for (int j = 0; j < kB; ++j) b.Get((first_b + j * kAttentionLanes) * (kSize + 4) + d, right[j]);
#pragma unroll
    for (int i = 0; i < kA; ++i) {
      float left[4];
      a.Get((first_a + i) * (kSize + 4) + d, left);
#pragma unroll
      for (int j = 0; j < kB; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) dots[i][j] = fmaf(left[e], right[j][e], dots[i][j]);
      }
    }
  }
}

// This thread's columns of a row of kSize: fours that are 4·kAttentionLanes apart.
template <int kSize>
struct Columns {
  static constexpr int kFours = kSize / (4 * kAttentionLanes);
  float at[kFours][4];

  __device__ __forceinline__ static int Of(int four) { return (four * kAttentionLanes + static_cast<int>(threadIdx.x) % kAttentionLanes) * 4; }

  __device__ __forceinline__ void Scale(float factor) {
#pragma unroll
    for (int four = 0; four < kFours; ++four) {
#pragma unroll
      for (int e = 0; e < 4; ++e) at[four][e] *= factor;
    }
  }
  // += factor · row of a tile in shared memory.
  template <typename Array>
  __device__ __forceinline__ void Add(float factor, Array& tile, int row) {
#pragma unroll
    for (int four = 0; four < kFours; ++four) {
      float values[4];
      tile.Get(row * (kSize + 4) + Of(four), values);
#pragma unroll
      for (int e = 0; e < 4; ++e) at[four][e] = fmaf(factor, values[e], at[four][e]);
    }
  }
  __device__ __forceinline__ void Store(const Head& head, int64_t row, int64_t size, float factor) const {
#pragma unroll
    for (int four = 0; four < kFours; ++four) {
      const int d = Of(four);
      if (d >= size) continue;
      const float values[4] = {at[four][0] * factor, at[four][1] * factor, at[four][2] * factor, at[four][3] * factor};
      StoreFour(head.elements, head.first + row * head.stride + d, size - d, values);
    }
  }
};

// First key that query `s` of a sequence sees; a start that is not in [0, s] is a fault, and taken as 0.
__device__ __forceinline__ int64_t SegmentStart(const int32_t* segment_start, int64_t s, DeviceFault* fault) {
  const int32_t start = segment_start[s];
  if (start >= 0 && start <= s) return start;
  Report(fault, StatusCode::kOutOfRange, s, start);
  return 0;
}

inline Status CheckHeadSize(int64_t size) {
  if (size <= 256) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, Cat("heads of ", size, "; the CUDA kernels go up to 256"));
}

}  // namespace lema::cuda
