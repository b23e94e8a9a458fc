// The product by f32 multiply-adds, on every device: each sum from k = 0 up, fused.
//
// A block computes a tile of the result: both factors pass through shared memory in steps of kDepth, the next step on
// its way in registers while this one is multiplied.
#pragma once

#include "cuda/factor.h"
#include "cuda/launch.h"

namespace lema::cuda {

// A result of kRows × kColumns, kThreadRows × kThreadColumns to a thread; kThreadColumns is a multiple of 4.
template <int kTileRows, int kTileColumns, int kOwnRows, int kOwnColumns, int kTileDepth, int kMinBlocks>
struct ProductTile {
  static constexpr int kBlocks = kMinBlocks;
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kDepth = kTileDepth;
  static constexpr int kThreadRows = kOwnRows, kThreadColumns = kOwnColumns;
  static constexpr int kThreadsAcross = kColumns / kThreadColumns;
  static constexpr int kThreads = kRows / kThreadRows * kThreadsAcross;
  static constexpr int kRowStride = kRows + 4, kColumnStride = kColumns + 4;
  static_assert(kThreadColumns % 4 == 0 && kDepth % 4 == 0 && kThreads % kWarp == 0);

  SharedArray<float, 2 * kDepth * kRowStride> left;  // [step parity][k][row]
  SharedArray<float, 2 * kDepth * kColumnStride> right;
};

// The part of a factor that a thread carries from global to shared memory in each step.
template <int kOuter, int kDepth, int kThreads>
struct Carrier {
  static constexpr int kFours = kOuter * kDepth / 4;
  static constexpr int kOwn = (kFours + kThreads - 1) / kThreads;
  float values[kOwn][4];

  __device__ __forceinline__ static int Outer(const Factor& factor, int four) {
    return factor.along_depth ? four / (kDepth / 4) : four % (kOuter / 4) * 4;
  }
  __device__ __forceinline__ static int Depth(const Factor& factor, int four) {
    return factor.along_depth ? four % (kDepth / 4) * 4 : four / (kOuter / 4);
  }

  __device__ __forceinline__ void Load(const Factor& factor, int64_t batch, int64_t outer_base, int64_t outers, int64_t depth_base,
                       int64_t depth) {
#pragma unroll
    for (int own = 0; own < kOwn; ++own) {
      const int four = static_cast<int>(threadIdx.x) + own * kThreads;
      const int64_t i = outer_base + Outer(factor, four);
      const int64_t k = depth_base + Depth(factor, four);
#pragma unroll
      for (int e = 0; e < 4; ++e) values[own][e] = 0.0f;
      if (four >= kFours || i >= outers || k >= depth) continue;
      const int64_t at = batch * factor.batch + (factor.along_depth ? i * factor.stride + k : k * factor.stride + i);
      LoadFour(factor.elements, at, factor.along_depth ? depth - k : outers - i, values[own]);
      if (factor.round_to_bf16) {
#pragma unroll
        for (int e = 0; e < 4; ++e) values[own][e] = ToFloat(RoundToBf16(values[own][e]));
      }
    }
  }

  template <typename Array>
  __device__ __forceinline__ void Put(const Factor& factor, Array& shared, int base, int stride) const {
#pragma unroll
    for (int own = 0; own < kOwn; ++own) {
      const int four = static_cast<int>(threadIdx.x) + own * kThreads;
      if (four >= kFours) continue;
      const int i = Outer(factor, four), k = Depth(factor, four);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        shared[base + (factor.along_depth ? (k + e) * stride + i : k * stride + i + e)] = values[own][e];
      }
    }
  }
};

template <typename Tile, typename Result>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks) ProductKernel(Factor left, Factor right, ProductShape shape, Result result) {
  constexpr int kDepth = Tile::kDepth, kThreadRows = Tile::kThreadRows, kThreadColumns = Tile::kThreadColumns;
  constexpr int kColumnGroups = kThreadColumns / 4;
  Tile& shared = Shared<Tile>();
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * Tile::kColumns;
  const int across = static_cast<int>(threadIdx.x) % Tile::kThreadsAcross, down = static_cast<int>(threadIdx.x) / Tile::kThreadsAcross;
  Carrier<Tile::kRows, kDepth, Tile::kThreads> left_carrier;
  Carrier<Tile::kColumns, kDepth, Tile::kThreads> right_carrier;
  const int64_t steps = (shape.depth + kDepth - 1) / kDepth;
  for (int64_t batch = 0; batch < shape.batches; ++batch) {
    float sums[kThreadRows][kThreadColumns] = {};
    left_carrier.Load(left, batch, first_row, shape.rows, 0, shape.depth);
    right_carrier.Load(right, batch, first_column, shape.columns, 0, shape.depth);
    for (int64_t step = 0; step < steps; ++step) {
      const int parity = static_cast<int>((step + batch * steps) % 2);
      const int left_base = parity * kDepth * Tile::kRowStride, right_base = parity * kDepth * Tile::kColumnStride;
      left_carrier.Put(left, shared.left, left_base, Tile::kRowStride);
      right_carrier.Put(right, shared.right, right_base, Tile::kColumnStride);
      __syncthreads();
      if (step + 1 < steps) {
        left_carrier.Load(left, batch, first_row, shape.rows, (step + 1) * kDepth, shape.depth);
        right_carrier.Load(right, batch, first_column, shape.columns, (step + 1) * kDepth, shape.depth);
      }
#pragma unroll
      for (int k = 0; k < kDepth; ++k) {
        float l[kThreadRows], r[kColumnGroups][4];
        if constexpr (kThreadRows % 4 == 0) {
#pragma unroll
          for (int group = 0; group < kThreadRows / 4; ++group) {
            float four[4];
            shared.left.Get(left_base + k * Tile::kRowStride + group * (Tile::kRows / (kThreadRows / 4)) + down * 4, four);
#pragma unroll
            for (int e = 0; e < 4; ++e) l[group * 4 + e] = four[e];
          }
        } else {
#pragma unroll
          for (int i = 0; i < kThreadRows; ++i) l[i] = shared.left[left_base + k * Tile::kRowStride + down * kThreadRows + i];
        }
#pragma unroll
        for (int group = 0; group < kColumnGroups; ++group) {
          shared.right.Get(right_base + k * Tile::kColumnStride + group * (Tile::kColumns / kColumnGroups) + across * 4, r[group]);
        }
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
          for (int j = 0; j < kThreadColumns; ++j) sums[i][j] = fmaf(l[i], r[j / 4][j % 4], sums[i][j]);
        }
      }
    }
    const int64_t to_row = NotAhead(first_row), to_column = NotAhead(first_column);
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
      const int own = kThreadRows % 4 == 0 ? i / 4 * (Tile::kRows / (kThreadRows / 4 > 0 ? kThreadRows / 4 : 1)) + down * 4 + i % 4
                                           : down * kThreadRows + i;
      if (to_row + own >= shape.rows) continue;
#pragma unroll
      for (int group = 0; group < kColumnGroups; ++group) {
        const int64_t column = to_column + group * (Tile::kColumns / kColumnGroups) + across * 4;
        if (column >= shape.columns) continue;
        const float four[4] = {sums[i][group * 4], sums[i][group * 4 + 1], sums[i][group * 4 + 2], sums[i][group * 4 + 3]};
        result.Store(to_row + own, column, shape.columns - column, four);
      }
    }
  }
}

template <typename Tile, typename Result>
Status LaunchProduct(const Factor& left, const Factor& right, const ProductShape& shape, const Result& result,
                     const LaunchContext& context) {
  const dim3 grid{Blocks(shape.rows, Tile::kRows), Blocks(shape.columns, Tile::kColumns), 1};
  return Launch(ProductKernel<Tile, Result>, grid, Tile::kThreads, context, left, right, shape, result);
}

}  // namespace lema::cuda
