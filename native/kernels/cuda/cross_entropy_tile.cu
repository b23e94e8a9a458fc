// One chunk of the head, tile by tile with online softmax: logits into the workspace, their softmax in place, and the
// weighted rows on top of the rescaled sum. As many rows at once as the workspace holds; each row is treated by itself.
#include "cuda/product.h"
#include "cuda/rows.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

int64_t TileOf(const CrossEntropyTileArgs& a) { return std::min<int64_t>(a.w.dim[0], a.vocabulary_tile); }

DType ComputeOf(const CrossEntropyTileArgs& a) { return ComputeDType(a.x.dtype, a.f16_factors); }

// Logits [tile] and a factor for each row; in f16 an exponent of x and one of the probabilities too.
size_t RowBytes(const CrossEntropyTileArgs& a) {
  return static_cast<size_t>(TileOf(a) + 1) * sizeof(float) + (ComputeOf(a) == DType::kF16 ? 2 : 0);
}

// In f16, exponents of the tile's rows for the logits, or of its columns for their weighted sum.
size_t TileBytes(const CrossEntropyTileArgs& a) {
  return ComputeOf(a) == DType::kF16 ? ExponentBytes(a.w.dtype, std::max(TileOf(a), a.w.dim[1]), 1) : 0;
}

// expected_row = expected_row · factor + product, where the row is supervised.
struct RescaledResult {
  float* rows;
  const float* factors;
  const int32_t* labels;
  int64_t stride;

  __device__ __forceinline__ void Store(int64_t row, int64_t column, int64_t count, const float (&sums)[4]) const {
    if (labels[row] == kIgnoredLabel) return;
    float values[4];
    LoadFour(rows + row * stride + column, count, values);
#pragma unroll
    for (int e = 0; e < 4; ++e) values[e] = fmaf(values[e], factors[row], sums[e]);
    StoreFour(rows + row * stride + column, count, values);
  }
};

struct SoftmaxArgs {
  float* logits;   // [rows, count], becomes e^(logit − maximum)
  float* factors;  // [rows], e^(maximum before − maximum)
  const int32_t* labels;
  float *maximum, *sum, *label_logit;
  Elements tile_rows;  // [count, width]
  float* label_row;    // null without a gradient
  bool round_to_bf16;
  int64_t rows, count, width, first;
};

constexpr int kRowsOfBlock = kRowThreads / kWarp;

// One warp a row.
__global__ void __launch_bounds__(kRowThreads) SoftmaxKernel(SoftmaxArgs a) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.x / kWarp;
  if (row >= a.rows) return;
  float* const logits = a.logits + row * a.count;
  const int32_t label = a.labels[row];
  const bool supervised = label != kIgnoredLabel;
  const float before = a.maximum[row];
  float largest = before;
  for (int64_t v = lane; v < a.count; v += kWarp) largest = logits[v] > largest ? logits[v] : largest;
  largest = MaximumOfLanes<kWarp>(largest);
  const int64_t hit = label - a.first;
  const bool met = supervised && hit >= 0 && hit < a.count;
  float sum = 0.0f;
  for (int64_t v = lane; v < a.count; v += kWarp) {
    const float logit = logits[v];
    if (met && v == hit) a.label_logit[row] = logit;
    const float p = supervised ? expf(logit - largest) : 0.0f;
    logits[v] = p;
    sum += p;
  }
  sum = SumOfLanes<kWarp>(sum);
  if (lane == 0 && supervised) {
    const float factor = expf(before - largest);
    a.factors[row] = factor;
    a.sum[row] = fmaf(a.sum[row], factor, sum);
    a.maximum[row] = largest;
  }
  if (!met || a.label_row == nullptr) return;
  for (int64_t h = lane * 4; h < a.width; h += kWarp * 4) {
    float w[4];
    LoadFour(a.tile_rows, hit * a.width + h, a.width - h, w);
#pragma unroll
    for (int e = 0; e < 4; ++e) w[e] = a.round_to_bf16 ? ToFloat(RoundToBf16(w[e])) : w[e];
    StoreFour(a.label_row + row * a.width + h, a.width - h, w);
  }
}

}  // namespace

Status PrepareCrossEntropyTile(const CrossEntropyTileArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckCrossEntropyTile(a.expected_row, a.label_row, a.first_row, a.vocabulary_tile, a.row_tile, a.f16_factors));
  const size_t of_rows = preparation->granted_bytes - std::min(preparation->granted_bytes, TileBytes(a));
  const size_t rows = std::clamp<size_t>(of_rows / RowBytes(a), 1, static_cast<size_t>(a.labels.elements()));
  preparation->workspace_bytes = rows * RowBytes(a) + TileBytes(a);
  return Status::Ok();
}

Status CrossEntropyTile(const CrossEntropyTileArgs& a, const LaunchContext& context) {
  const int64_t width = a.w.dim[1], tile = TileOf(a), all = a.labels.elements();
  const int64_t part = std::min<int64_t>(all, static_cast<int64_t>((context.workspace_bytes - TileBytes(a)) / RowBytes(a)));
  const DType compute = ComputeOf(a);
  const bool round = a.x.dtype == DType::kBF16 && a.w.dtype != DType::kBF16, gradient = a.expected_row.present();
  float* const logits = reinterpret_cast<float*>(context.workspace);
  float* const factors = logits + part * tile;
  LaunchContext products = context;
  for (int64_t row = 0; row < all; row += part) {
    const int64_t rows = std::min(part, all - row);
    Factor x{Advance(ElementsOf(a.x), row * width), width};
    products.workspace = reinterpret_cast<std::byte*>(factors + part);
    // Once for all tiles.
    if (MultipliesF16(width, compute, context.capability)) {
      LEMA_RETURN_IF_ERROR(FindExponents<Along::kDepth>(&x, rows, {rows, tile, width, 1, compute}, &products.workspace, context));
    }
    const int32_t* const labels = a.labels.as<const int32_t>() + row;
    for (int64_t first = 0; first < a.w.dim[0]; first += tile) {
      const int64_t count = std::min(tile, a.w.dim[0] - first);
      const Elements tile_rows = Advance(ElementsOf(a.w), first * width);
      LEMA_RETURN_IF_ERROR((Product<Along::kDepth, Along::kDepth>(x, {tile_rows, width}, {rows, count, width, 1, compute},
                                   ScaledResult{{logits, DType::kF32}, count, 1.0f, false}, products)));
      LEMA_RETURN_IF_ERROR(Launch(SoftmaxKernel, {Blocks(rows, kRowsOfBlock), 1, 1}, kRowThreads, context,
                                  SoftmaxArgs{.logits = logits,
                                              .factors = factors,
                                              .labels = labels,
                                              .maximum = a.maximum.as<float>() + row,
                                              .sum = a.sum.as<float>() + row,
                                              .label_logit = a.label_logit.as<float>() + row,
                                              .tile_rows = tile_rows,
                                              .label_row = gradient ? a.label_row.as<float>() + row * width : nullptr,
                                              .round_to_bf16 = round,
                                              .rows = rows,
                                              .count = count,
                                              .width = width,
                                              .first = a.first_row + first}));
      if (!gradient) continue;
      LEMA_RETURN_IF_ERROR((Product<Along::kDepth, Along::kOuter>({{logits, DType::kF32}, count}, {tile_rows, width},
                                   {rows, width, count, 1, compute},
                                   RescaledResult{a.expected_row.as<float>() + row * width, factors, labels, width}, products)));
    }
  }
  return Status::Ok();
}

}  // namespace lema::cuda
