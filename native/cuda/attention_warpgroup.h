// Attention by warpgroups (warpgroup.h), for heads of 64 and 128 that lie in bf16. Probabilities and their gradients are
// rounded to bf16, as every factor of a product is where a recipe asks for bf16, and as PyTorch's are; sums are f32.
//
// A block has some warpgroups, each with 64 rows of its own (queries, or keys where it is keys that gradients are summed
// for); 64 rows of the other kind at a time pass through stages of shared memory. A warpgroup leaves out what none of its
// rows sees.
#pragma once

#include "cuda/attention_tensor.h"
#include "cuda/warpgroup.h"

namespace lema::cuda {

inline constexpr int kPassingRows = 64;

// A block's own rows of a head.
template <int kSize, int kWarpgroups>
struct alignas(kPanelAlignment) OwnRows {
  static constexpr int kThreads = kWarpgroups * kWarpgroup, kRows = kWarpgroups * kWarpgroupRows;
  SharedArray<uint16_t, kRows * kSize> rows;

  __device__ __forceinline__ void Copy(const Head& head, int row, int rows_of_head) {
    CopyRows<kRows, kSize, Panels<kRows>, kThreads>(head, row, rows_of_head, rows, 0);
  }
};

// Stages of rows that pass.
template <int kSize, int kWarpgroups, int kStages>
struct alignas(kPanelAlignment) PassingRows {
  static constexpr int kStage = kPassingRows * kSize;
  SharedArray<uint16_t, kStages * kStage> rows;

  __device__ __forceinline__ void Copy(const Head& head, int row, int rows_of_head, int stage) {
    CopyRows<kPassingRows, kSize, Panels<kPassingRows>, kWarpgroups * kWarpgroup>(head, row, rows_of_head, rows, stage * kStage);
  }
};

__device__ __forceinline__ int OwnWarpgroup() { return static_cast<int>(threadIdx.x) / kWarpgroup; }
// This lane's first row of its warpgroup's 64; the other is 8 further.
__device__ __forceinline__ int OwnRowOfWarpgroup() {
  return static_cast<int>(threadIdx.x) % kWarpgroup / kWarp * 16 + static_cast<int>(threadIdx.x) % kWarp / 4;
}
// This lane's column of the e-th sum of the j-th block of 8.
__device__ __forceinline__ int ColumnOf(int j, int e) { return j * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + e % 2; }

// += own rows · passing rowsᵀ: dot products of this warpgroup's 64 rows with the 64 of a stage.
template <int kSize, int kWarpgroups, int kStages>
__device__ __forceinline__ void AddDots(float (&dots)[kPassingRows / 8][4], OwnRows<kSize, kWarpgroups>& own,
                                        PassingRows<kSize, kWarpgroups, kStages>& passing, int stage) {
  constexpr int kOwn = kWarpgroups * kWarpgroupRows;
#pragma unroll
  for (int d = 0; d < kSize; d += 16) {
    const int left = OwnWarpgroup() * kWarpgroupRows * kPanelColumns + Panels<kOwn>::Columns(d);
    const int right = stage * passing.kStage + Panels<kPassingRows>::Columns(d);
    MultiplyShared(dots, MatrixDescriptor(own.rows, left, kOwn), MatrixDescriptor(passing.rows, right, kPassingRows));
  }
}

// Numbers of a warpgroup's 64 rows and the stage's 64, rounded to bf16: a left factor, 16 columns after the other.
struct RoundedFactors {
  uint32_t at[kPassingRows / 16][4];

  __device__ __forceinline__ explicit RoundedFactors(const float (&from)[kPassingRows / 8][4]) {
#pragma unroll
    for (int t = 0; t < kPassingRows / 16; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) at[t][i] = PackBf16(from[t * 2 + i / 2][i % 2 * 2], from[t * 2 + i / 2][i % 2 * 2 + 1]);
    }
  }
};

// += factors · passing rows.
template <int kSize, int kWarpgroups, int kStages>
__device__ __forceinline__ void AddRows(float (&sums)[kSize / 8][4], const RoundedFactors& factors,
                                        PassingRows<kSize, kWarpgroups, kStages>& passing, int stage) {
#pragma unroll
  for (int t = 0; t < kPassingRows / 16; ++t) {
    const int right = stage * passing.kStage + t * 16 * kPanelColumns;
    MultiplyRows(sums, factors.at[t], MatrixDescriptor(passing.rows, right, kPassingRows));
  }
}

}  // namespace lema::cuda
