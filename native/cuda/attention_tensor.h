// Attention on tensor cores, for heads of 64 and 128 that lie in bf16. What the kernels compute themselves,
// probabilities and their gradients, keeps twice the bits of bf16: each number is the sum of two of them, x = high + low +
// O(2⁻¹⁶ x), and a product with it is two. That is as exact as sums in f32 ask for (the op suite holds these kernels and
// those of multiply-adds to one tolerance).
//
// A warp has 16 rows of its tile in registers; what they are multiplied with passes through a ring in shared memory. Sums
// run over heads and keys in steps of 16 from the first, so that no tile shows in a bit.
#pragma once

#include "cuda/attention.h"
#include "cuda/fragments.h"

namespace lema::cuda {

inline constexpr int kTensorAttentionThreads = 4 * kWarp;
inline constexpr float kLog2E = 1.44269504f, kLogOf2 = 0.693147181f;

struct alignas(4) PairOfBf16 {
  BF16 at[2];
};
// Two neighbours, the first in the lower half; one access where the address allows.
__device__ __forceinline__ uint32_t PairOf(const BF16* from) {
  PairOfBf16 pair;
  if (reinterpret_cast<uintptr_t>(from) % sizeof(pair) == 0) {
    pair = *reinterpret_cast<const PairOfBf16*>(from);
  } else {
    pair = {{from[0], from[1]}};
  }
  return pair.at[0].bits | static_cast<uint32_t>(pair.at[1].bits) << 16;
}

// Where element (row, column) of a tile lies whose rows follow one another.
template <int kSize>
struct SwizzledRows {
  static constexpr int kRowElements = kSize;
  __device__ __forceinline__ static int At(int row, int column) { return Swizzled<kSize>(row, column); }
};

// kRows rows of a head into shared memory, from `base` on, by the kThreads threads of the block; zeros behind the last row.
template <int kRows, int kSize, typename Layout = SwizzledRows<kSize>, int kThreads = kTensorAttentionThreads, typename Array>
__device__ __forceinline__ void CopyRows(const Head& head, int64_t row, int64_t rows, Array& to, int base) {
  constexpr int kEights = kSize / 8, kApart = kThreads / kEights;
  static_assert(kRows % kApart == 0 && kApart % 8 == 0);  // a thread's rows are swizzled alike
  const int own = static_cast<int>(threadIdx.x) / kEights, column = static_cast<int>(threadIdx.x) % kEights * 8;
  const BF16* from = static_cast<const BF16*>(head.elements.data) + head.first + (row + own) * head.stride + column;
  int at = base + Layout::At(own, column);
  const bool aligned = reinterpret_cast<uintptr_t>(from) % 16 == 0;
  if (aligned && row + kRows <= rows) {
#pragma unroll
    for (int i = 0; i < kRows / kApart; ++i) {
      CopyAsync(to, at, from, 16);
      from += kApart * head.stride;
      at += kApart * Layout::kRowElements;
    }
    return;
  }
#pragma unroll 1
  for (int r = own; r < kRows; r += kApart) {
    const bool there = row + r < rows;
    if (aligned) {
      CopyAsync(to, at, there ? from : head.elements.data, there ? 16 : 0);
    } else {
      uint32_t held[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) held[i] = there ? PairOf(from + i * 2) : 0;
      PutEight(to, at, held);
    }
    from += kApart * head.stride;
    at += kApart * Layout::kRowElements;
  }
}

// Keys and values on their way through shared memory, for a block of kQueries queries, a warp for 16 of them.
template <int kSize>
struct KeyValueRing {
  static constexpr int kQueries = 64, kKeys = 32, kStages = 3, kStage = kKeys * kSize;
  SharedArray<uint16_t, kStages * kStage> k, v;

  // The tile from `key` on, where it begins before `end`, into a stage of the ring; a group of copies in any case.
  __device__ __forceinline__ void Fetch(const Head& keys, const Head& values, int key, int end, int length, int stage) {
    if (key < end) {
      CopyRows<kKeys, kSize>(keys, key, length, k, stage * kStage);
      CopyRows<kKeys, kSize>(values, key, length, v, stage * kStage);
    }
    CommitCopies();
  }
  __device__ __forceinline__ static int Before(int stage) { return stage == 0 ? kStages - 1 : stage - 1; }
  __device__ __forceinline__ static int Behind(int stage) { return stage + 1 == kStages ? 0 : stage + 1; }
};

__device__ __forceinline__ float LowerOf(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float UpperOf(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

// Columns d to d + 15 of rows `row` and `row` + 8 of a head, zeros behind row `rows`: a left factor in registers.
__device__ __forceinline__ void LoadFragment(const Head& head, int64_t row, int64_t rows, int d, uint32_t (&to)[4]) {
  const BF16* const from = static_cast<const BF16*>(head.elements.data) + head.first + d + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t r = row + i % 2 * 8;
    to[i] = r < rows ? PairOf(from + r * head.stride + i / 2 * 8) : 0;
  }
}

// A left factor of 16 rows in registers, 16 deep, in twice the bits of bf16.
struct SplitFragment {
  uint32_t high[4], low[4];

  // Of two neighbouring blocks of 8 columns of sums.
  __device__ __forceinline__ SplitFragment(const float (&first)[4], const float (&second)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float (&from)[4] = i < 2 ? first : second;
      const float lower = from[i % 2 * 2], upper = from[i % 2 * 2 + 1];
      high[i] = PackBf16(lower, upper);
      low[i] = PackBf16(lower - LowerOf(high[i]), upper - UpperOf(high[i]));
    }
  }
};

// += left · right, for two blocks of 8 columns whose fragments are in `right`.
__device__ __forceinline__ void Multiply(float (&first)[4], float (&second)[4], const uint32_t (&left)[4], const uint32_t (&right)[4]) {
  MultiplyBf16(first, left, right[0], right[1]);
  MultiplyBf16(second, left, right[2], right[3]);
}
__device__ __forceinline__ void Multiply(float (&first)[4], float (&second)[4], const SplitFragment& left, const uint32_t (&right)[4]) {
  Multiply(first, second, left.low, right);
  Multiply(first, second, left.high, right);
}

// First key that any of the kQueries queries from `first` on sees, `length` where there are none; a warp calls it together,
// and each lane gets it.
template <int kQueries>
__device__ __forceinline__ int EarliestKey(const int32_t* starts, int first, int length, DeviceFault* fault) {
  int earliest = length;
#pragma unroll
  for (int i = 0; i < (kQueries + kWarp - 1) / kWarp; ++i) {
    const int own = static_cast<int>(threadIdx.x) % kWarp + i * kWarp, s = first + own;
    if (own >= kQueries || s >= length) continue;
    const int start = static_cast<int>(SegmentStart(starts, s, fault));
    earliest = start < earliest ? start : earliest;
  }
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, earliest, step);
    earliest = other < earliest ? other : earliest;
  }
  return earliest;
}

// 16 rows × kSize of sums times a factor to rows `row` and `row` + 8 of a head, where they are below `rows`.
template <int kSize>
__device__ __forceinline__ void StoreSums(const Head& head, int64_t row, int64_t rows, const float (&sums)[kSize / 8][4],
                                          const float (&factors)[2]) {
  const int64_t column = head.first + static_cast<int>(threadIdx.x) % 4 * 2;
  const bool whole = reinterpret_cast<uintptr_t>(head.elements.data) % sizeof(PairOfBf16) == 0;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t r = row + half * 8;
    if (r >= rows) continue;
#pragma unroll
    for (int j = 0; j < kSize / 8; ++j) {
      const int64_t at = column + r * head.stride + j * 8;
      const float first = sums[j][half * 2] * factors[half], second = sums[j][half * 2 + 1] * factors[half];
      if (whole && head.elements.dtype == DType::kBF16) {
        const uint32_t packed = PackBf16(first, second);
        *reinterpret_cast<PairOfBf16*>(static_cast<BF16*>(head.elements.data) + at) = {
            {{static_cast<uint16_t>(packed)}, {static_cast<uint16_t>(packed >> 16)}}};
      } else {
        head.elements.Store(at, first);
        head.elements.Store(at + 1, second);
      }
    }
  }
}

}  // namespace lema::cuda
