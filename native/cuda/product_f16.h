// The product on tensor cores that have f16 and no bf16, and no asynchronous copies: both factors scaled and rounded to
// f16 (exponents.h), sums in f32. An output is the chain of mma.m16n8k8 over k = 0, 8, 16, …, the depth filled up with
// zeros, whatever the tile, the batch or the address, as in product_tensor.h.
//
// A block computes a tile of the result. Its factors pass through a ring of two steps in shared memory, swizzled as
// there: the next step is on its way in registers, as it is stored, while this one is multiplied.
#pragma once

#include "cuda/exponents.h"
#include "cuda/fragments.h"

namespace lema::cuda {

template <int kTileRows, int kTileColumns, int kTileStep, int kOwnRows, int kOwnColumns, int kMinBlocks>
struct F16Tile {
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kStep = kTileStep;
  static constexpr int kWarpRows = kOwnRows, kWarpColumns = kOwnColumns;
  static constexpr int kWarpsDown = kRows / kWarpRows, kWarpsAcross = kColumns / kWarpColumns;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross, kBlocks = kMinBlocks;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 16 == 0 && kStep % 16 == 0);

  SharedArray<uint16_t, 2 * kRows * kStep> left;
  SharedArray<uint16_t, 2 * kColumns * kStep> right;
};

// Four neighbours of 32 bits, or eight of 16, as they are stored; `count` of them exist, the rest is zeros.
__device__ __forceinline__ void LoadWords(const float* from, int count, uint32_t (&to)[4]) {
  if (count >= 4 && IsAligned(from)) {
    const Four<uint32_t> loaded = *reinterpret_cast<const Four<uint32_t>*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = loaded.at[i];
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = i < count ? __float_as_uint(from[i]) : 0;
  }
}
__device__ __forceinline__ void LoadWords(const uint16_t* from, int count, uint32_t (&to)[4]) {
  if (count >= 8 && reinterpret_cast<uintptr_t>(from) % sizeof(Four<uint32_t>) == 0) {
    const Four<uint32_t> loaded = *reinterpret_cast<const Four<uint32_t>*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = loaded.at[i];
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[i] = (2 * i < count ? from[2 * i] : 0u) | (2 * i + 1 < count ? static_cast<uint32_t>(from[2 * i + 1]) << 16 : 0u);
    }
  }
}

// One factor of the block: kOuter of its rows (or columns), kStep deep, as [outer][k] where it lies along the depth,
// else as [k][outer]. A thread carries eights of one column of that matrix, kRowsApart rows from one to the next.
template <int kOuter, int kStep, int kThreads, Along kAlong>
struct ScaledPanel {
  static constexpr bool kAlongDepth = kAlong == Along::kDepth;
  static constexpr int kRowElements = kAlongDepth ? kStep : kOuter, kEightsOfRow = kRowElements / 8;
  static constexpr int kRowsApart = kThreads / kEightsOfRow, kOwn = kOuter * kStep / 8 / kThreads;
  static_assert(kThreads % kEightsOfRow == 0 && kRowsApart % 8 == 0 && kOwn * 8 * kThreads == kOuter * kStep);

  const Factor& factor;
  int64_t first, all;  // of the outers: the block's, and those that there are
  int depth;
  int row, column;  // of the first own eight
  int64_t at;       // where the first own eight of the next step begins in the factor
  int k;            // of the next step
  float scales[kAlongDepth ? kOwn : 8];  // of the own rows, or of the own column's eight
  uint32_t held[kOwn][2][4];             // as stored: eight of 32 bits, or of 16 in the first half

  __device__ __forceinline__ ScaledPanel(const Factor& of, int64_t begin, int64_t outers, int64_t deep)
      : factor(of),
        first(begin),
        all(outers),
        depth(static_cast<int>(deep)),
        row(static_cast<int>(threadIdx.x) / kEightsOfRow),
        column(static_cast<int>(threadIdx.x) % kEightsOfRow * 8) {}

  __device__ __forceinline__ int outers() const { return static_cast<int>(all - first < kOuter ? all - first : kOuter); }

  __device__ __forceinline__ void Begin(int64_t batch) {
    at = batch * factor.batch + (kAlongDepth ? (first + row) * factor.stride + column : row * factor.stride + first + column);
    k = 0;
#pragma unroll
    for (int i = 0; i < (kAlongDepth ? kOwn : 8); ++i) {
      const int outer = kAlongDepth ? row + i * kRowsApart : column + i;
      scales[i] = outer < outers() ? ScaleOf(ExponentOf(factor.exponents, all, batch, first + outer)) : 1.0f;
    }
  }

  // The next step into `held`.
  __device__ __forceinline__ void Fetch() {
    const int rest = kAlongDepth ? depth - k - column : outers() - column;
    const int rows = kAlongDepth ? outers() : depth - k;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int count = row + i * kRowsApart < rows && rest > 0 ? rest : 0;
      const int64_t from = count > 0 ? at + i * kRowsApart * factor.stride : 0;
      if (factor.elements.dtype == DType::kF32) {
        const float* const data = static_cast<const float*>(factor.elements.data) + from;
        LoadWords(data, count, held[i][0]);
        LoadWords(data + (count > 4 ? 4 : 0), count - 4, held[i][1]);
      } else {
        LoadWords(static_cast<const uint16_t*>(factor.elements.data) + from, count, held[i][0]);
      }
    }
    k += kStep;
    at += kAlongDepth ? kStep : kStep * factor.stride;
  }

  // What is held, scaled and rounded, into place `base`.
  template <typename Array>
  __device__ __forceinline__ void Put(Array& shared, int base) const {
    const int to = base + Swizzled<kRowElements>(row, column);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      uint32_t packed[4];
      const auto scale = [&](int e) { return scales[kAlongDepth ? i : e]; };
#pragma unroll
      for (int two = 0; two < 4; ++two) {
        const uint32_t word = held[i][0][two];
        if (factor.elements.dtype == DType::kF32) {
          const float lower = __uint_as_float(held[i][two / 2][two % 2 * 2]), upper = __uint_as_float(held[i][two / 2][two % 2 * 2 + 1]);
          packed[two] = PackF16(__fmul_rn(lower, scale(two * 2)), __fmul_rn(upper, scale(two * 2 + 1)));
        } else if (factor.elements.dtype == DType::kBF16) {
          const float lower = __uint_as_float(word << 16), upper = __uint_as_float(word & 0xffff0000u);
          packed[two] = PackF16(__fmul_rn(lower, scale(two * 2)), __fmul_rn(upper, scale(two * 2 + 1)));
        } else {
          packed[two] = word;
        }
      }
      PutEight(shared, to + i * kRowsApart * kRowElements, packed);
    }
  }
};

template <typename Tile, Along kLeft, Along kRight, typename Result>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    F16ProductKernel(Factor left, Factor right, ProductShape shape, Result result) {
#if LEMA_F16_TENSOR_CORES
  constexpr int kStep = Tile::kStep, kLeftStage = Tile::kRows * kStep, kRightStage = Tile::kColumns * kStep;
  constexpr int kDown = Tile::kWarpRows / 16, kAcross = Tile::kWarpColumns / 8;
  Tile& shared = Shared<Tile>();
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warp_row = warp / Tile::kWarpsAcross * Tile::kWarpRows, warp_column = warp % Tile::kWarpsAcross * Tile::kWarpColumns;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * Tile::kColumns;
  using LeftPanel = ScaledPanel<Tile::kRows, kStep, Tile::kThreads, kLeft>;
  using RightPanel = ScaledPanel<Tile::kColumns, kStep, Tile::kThreads, kRight>;
  LeftPanel left_panel(left, first_row, shape.rows, shape.depth);
  RightPanel right_panel(right, first_column, shape.columns, shape.depth);
  const int steps = static_cast<int>((shape.depth + kStep - 1) / kStep);
  for (int64_t batch = 0; batch < shape.batches; ++batch) {
    float sums[kDown][kAcross][4] = {};
    left_panel.Begin(batch);
    right_panel.Begin(batch);
    left_panel.Fetch();
    right_panel.Fetch();
    left_panel.Put(shared.left, 0);
    right_panel.Put(shared.right, 0);
    for (int step = 0; step < steps; ++step) {
      const int stage = step % 2;
      const bool more = step + 1 < steps;
      __syncthreads();  // this step is there for all, and all are done with the one before it
      if (more) {
        left_panel.Fetch();
        right_panel.Fetch();
      }
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
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int i = 0; i < kDown; ++i) {
#pragma unroll
            for (int j = 0; j < kAcross; ++j) {
              MultiplyF16(sums[i][j], a[i][half * 2], a[i][half * 2 + 1], b[j / 2][j % 2 * 2 + half]);
            }
          }
        }
      }
      if (more) {
        left_panel.Put(shared.left, (1 - stage) * kLeftStage);
        right_panel.Put(shared.right, (1 - stage) * kRightStage);
      }
    }
    __syncthreads();  // the ring begins anew
    StoreFragments(sums, first_row + warp_row, first_column + warp_column, shape,
                   UnscaledResult<Result>{result, shape, left.exponents, right.exponents, batch});
  }
#endif
}

// The exponents of both factors are found.
template <typename Tile, Along kLeft, Along kRight, typename Result>
Status LaunchF16Product(const Factor& left, const Factor& right, const ProductShape& shape, const Result& result,
                        const LaunchContext& context) {
  const dim3 grid{Blocks(shape.rows, Tile::kRows), Blocks(shape.columns, Tile::kColumns), 1};
  return Launch(F16ProductKernel<Tile, kLeft, kRight, Result>, grid, Tile::kThreads, context, left, right, shape, result);
}

}  // namespace lema::cuda
