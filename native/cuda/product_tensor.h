// The product on tensor cores: both factors rounded to bf16, sums in f32. An output is the chain of mma.m16n8k16 over
// k = 0, 16, 32, …, the depth filled up with zeros, whatever the tile, the batch or the address: bits depend on the
// operands alone, as in product.h.
//
// A block computes a tile of the result. Its factors pass through a ring of kStages steps in shared memory, as bf16 and
// swizzled so that ldmatrix meets no bank twice. A factor that lies in bf16 on 16 bytes is copied asynchronously; any
// other comes through registers.
#pragma once

#include "cuda/factor.h"
#include "cuda/fragments.h"
#include "cuda/launch.h"

namespace lema::cuda {

// How factors reach shared memory: by copies alone, where both can be copied, or either way.
enum class Supply { kCopied, kAny };

template <int kTileRows, int kTileColumns, int kTileStep, int kOwnRows, int kOwnColumns, int kMinBlocks, Supply kHow>
struct TensorTile {
  static constexpr Supply kSupply = kHow;
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kStep = kTileStep;
  static constexpr int kWarpRows = kOwnRows, kWarpColumns = kOwnColumns;
  static constexpr int kWarpsDown = kRows / kWarpRows, kWarpsAcross = kColumns / kWarpColumns;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross, kBlocks = kMinBlocks;
  static constexpr int kStages = 3;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 16 == 0 && kStep % 16 == 0);

  SharedArray<uint16_t, kStages * kRows * kStep> left;
  SharedArray<uint16_t, kStages * kColumns * kStep> right;
};

// One factor of the block: kOuter of its rows (or columns), kStep deep, as [outer][k] where it lies along the depth,
// else as [k][outer]. A thread carries eights of one column of that matrix, kRowsApart rows from one to the next.
template <int kOuter, int kStep, int kThreads, Along kAlong, Supply kSupply>
struct Panel {
  static constexpr bool kAlongDepth = kAlong == Along::kDepth;
  static constexpr int kRowElements = kAlongDepth ? kStep : kOuter, kEightsOfRow = kRowElements / 8;
  static constexpr int kRowsApart = kThreads / kEightsOfRow, kOwn = kOuter * kStep / 8 / kThreads;
  static_assert(kThreads % kEightsOfRow == 0 && kRowsApart % 8 == 0 && kOwn * 8 * kThreads == kOuter * kStep);

  const Factor& factor;
  int outers, depth;   // of the block's part of the factor
  int row, column;     // of the first own eight
  int64_t at;          // where the first own eight of the next step begins in the factor
  int k = 0;           // of the next step

  __device__ __forceinline__ Panel(const Factor& of, int64_t first, int64_t all, int64_t deep)
      : factor(of),
        outers(static_cast<int>(all - first < kOuter ? all - first : kOuter)),
        depth(static_cast<int>(deep)),
        row(static_cast<int>(threadIdx.x) / kEightsOfRow),
        column(static_cast<int>(threadIdx.x) % kEightsOfRow * 8),
        at(kAlongDepth ? (first + row) * of.stride + column : row * of.stride + first + column) {}

  __device__ __forceinline__ void NextBatch() {
    at += factor.batch - (kAlongDepth ? k : k * factor.stride);
    k = 0;
  }

  __device__ __forceinline__ bool copied() const { return kSupply == Supply::kCopied || factor.by_sixteen_bytes; }

  // The next step into place `base`: on its way where it is copied, else in `held` until Put.
  template <typename Array>
  __device__ __forceinline__ void Fetch(Array& shared, int base, uint32_t (&held)[kOwn][4]) {
    const int rest = kAlongDepth ? depth - k - column : outers - column;
    const int count = rest < 0 ? 0 : rest < 8 ? rest : 8;
    const int rows = kAlongDepth ? outers : depth - k;
    const int to = base + Swizzled<kRowElements>(row, column);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int its = row + i * kRowsApart < rows ? count : 0;
      const int64_t from = at + i * kRowsApart * factor.stride;
      if (copied()) {
        CopyAsync(shared, to + i * kRowsApart * kRowElements, static_cast<const BF16*>(factor.elements.data) + (its > 0 ? from : 0), its * 2);
        continue;
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float values[4] = {};
        if (its > half * 4) LoadFour(factor.elements, from + half * 4, its - half * 4, values);
        held[i][half * 2] = PackBf16(values[0], values[1]);
        held[i][half * 2 + 1] = PackBf16(values[2], values[3]);
      }
    }
    k += kStep;
    at += kAlongDepth ? kStep : kStep * factor.stride;
  }
  template <typename Array>
  __device__ __forceinline__ void Put(Array& shared, int base, const uint32_t (&held)[kOwn][4]) const {
    if (copied()) return;
    const int to = base + Swizzled<kRowElements>(row, column);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) PutEight(shared, to + i * kRowsApart * kRowElements, held[i]);
  }
};

template <typename Tile, Along kLeft, Along kRight, typename Result>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    TensorProductKernel(Factor left, Factor right, ProductShape shape, Result result) {
#if LEMA_TENSOR_CORES
  constexpr int kStep = Tile::kStep, kStages = Tile::kStages, kLeftStage = Tile::kRows * kStep, kRightStage = Tile::kColumns * kStep;
  constexpr int kDown = Tile::kWarpRows / 16, kAcross = Tile::kWarpColumns / 8;
  Tile& shared = Shared<Tile>();
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warp_row = warp / Tile::kWarpsAcross * Tile::kWarpRows, warp_column = warp % Tile::kWarpsAcross * Tile::kWarpColumns;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * Tile::kColumns;
  using LeftPanel = Panel<Tile::kRows, kStep, Tile::kThreads, kLeft, Tile::kSupply>;
  using RightPanel = Panel<Tile::kColumns, kStep, Tile::kThreads, kRight, Tile::kSupply>;
  LeftPanel left_panel(left, first_row, shape.rows, shape.depth);
  RightPanel right_panel(right, first_column, shape.columns, shape.depth);
  uint32_t left_held[LeftPanel::kOwn][4], right_held[RightPanel::kOwn][4];
  const int steps = static_cast<int>((shape.depth + kStep - 1) / kStep);
  for (int64_t batch = 0; batch < shape.batches; ++batch) {
    float sums[kDown][kAcross][4] = {};
    for (int stage = 0; stage < kStages - 1; ++stage) {
      left_panel.Fetch(shared.left, stage * kLeftStage, left_held);
      left_panel.Put(shared.left, stage * kLeftStage, left_held);
      right_panel.Fetch(shared.right, stage * kRightStage, right_held);
      right_panel.Put(shared.right, stage * kRightStage, right_held);
      CommitCopies();
    }
    int stage = 0;
    for (int step = 0; step < steps; ++step) {
      AwaitCopies<kStages - 2>();
      __syncthreads();  // this step is there for all, and all are done with the one before it
      const int free = stage == 0 ? kStages - 1 : stage - 1;
      // Of the two only the right factor is a weight, which may be stored otherwise: it alone is held meanwhile.
      left_panel.Fetch(shared.left, free * kLeftStage, left_held);
      left_panel.Put(shared.left, free * kLeftStage, left_held);
      right_panel.Fetch(shared.right, free * kRightStage, right_held);
      CommitCopies();
#pragma unroll
      for (int k = 0; k < kStep; k += 16) {
        uint32_t a[kDown][4], b[kAcross / 2][4];
#pragma unroll
        for (int i = 0; i < kDown; ++i) {
          LeftFragment<kLeft, LeftPanel::kRowElements>(shared.left, stage * kLeftStage, warp_row + i * 16, k, a[i]);
        }
#pragma unroll
        for (int j = 0; j < kAcross / 2; ++j) {
          RightFragments<kRight, RightPanel::kRowElements>(shared.right, stage * kRightStage, warp_column + j * 16, k, b[j]);
        }
#pragma unroll
        for (int i = 0; i < kDown; ++i) {
#pragma unroll
          for (int j = 0; j < kAcross; ++j) {
            MultiplyBf16(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
          }
        }
      }
      right_panel.Put(shared.right, free * kRightStage, right_held);
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    AwaitCopies<0>();
    __syncthreads();  // the ring begins anew
    left_panel.NextBatch();
    right_panel.NextBatch();
    StoreFragments(sums, first_row + warp_row, first_column + warp_column, shape, result);
  }
#endif
}

template <typename Tile, Along kLeft, Along kRight, typename Result>
Status LaunchTensorProduct(const Factor& left, const Factor& right, const ProductShape& shape, const Result& result,
                           const LaunchContext& context) {
  const dim3 grid{Blocks(shape.rows, Tile::kRows), Blocks(shape.columns, Tile::kColumns), 1};
  return Launch(TensorProductKernel<Tile, kLeft, kRight, Result>, grid, Tile::kThreads, context, left, right, shape, result);
}

}  // namespace lema::cuda
