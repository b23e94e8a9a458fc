// One chunk of the head. For each vocabulary tile the weights are packed once, by all threads; then the rows pass by.
// Rows without a label are left as they are.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

constexpr int64_t kRows = 112;          // of a task
constexpr int64_t kPackedColumns = 64;  // of a packing task; a multiple of every panel

struct Sizes {
  int64_t rows, tile;
  size_t thread, weight, values;
};

Sizes SizesOf(const CrossEntropyTileArgs& a) {
  const Loops& loops = ActiveLoops();
  const int64_t depth = a.w.dim[1];
  const int64_t rows = std::min<int64_t>({a.x.dim[1], a.row_tile, kRows});
  const int64_t tile = std::min<int64_t>(a.w.dim[0], a.vocabulary_tile);
  const size_t thread = (loops.cross_entropy_scratch(rows, tile, depth, a.x.dtype) + 63) / 64 * 64;
  return {rows, tile, thread, (loops.packed_bytes(tile, depth, a.x.dtype) + 63) / 64 * 64,
          a.expected_row.present() ? loops.packed_bytes(depth, tile, a.x.dtype) : 0};
}

// Packs `columns` columns of a factor, shared out among the threads.
void Pack(TaskRunner& runner, const Factor& factor, int64_t columns, int64_t depth, DType compute, std::byte* to) {
  ForChunks(runner, columns, kPackedColumns, [&](int64_t first, int64_t count) {
    const char* from = static_cast<const char*>(factor.data) + first * factor.outer * static_cast<int64_t>(SizeOf(factor.dtype));
    ActiveLoops().pack_columns({from, factor.dtype, factor.outer, factor.inner}, count, depth, compute,
                               to + ActiveLoops().packed_bytes(first, depth, compute));
  });
}

}  // namespace

Status PrepareCrossEntropyTile(const CrossEntropyTileArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(
      CheckCrossEntropyTile(a.expected_row, a.label_row, a.first_row, a.vocabulary_tile, a.row_tile, a.f16_factors));
  const Sizes sizes = SizesOf(a);
  preparation->workspace_bytes = static_cast<size_t>(threads) * sizes.thread + sizes.weight + sizes.values;
  return Status::Ok();
}

Status CrossEntropyTile(const CrossEntropyTileArgs& a, PreparedCall*, KernelContext& context) {
  const Sizes sizes = SizesOf(a);
  const int64_t length = a.x.dim[1], depth = a.w.dim[1];
  const int64_t row_parts = (length + sizes.rows - 1) / sizes.rows;
  const bool gradient = a.expected_row.present();
  const int32_t* const labels = a.labels.as<const int32_t>();
  std::byte* const weight = context.workspace.data;
  std::byte* const values = weight + sizes.weight;
  std::byte* const scratch = values + sizes.values;
  for (int64_t first = 0; first < a.w.dim[0]; first += sizes.tile) {
    const int64_t count = std::min(sizes.tile, a.w.dim[0] - first);
    const void* const rows_of_tile = At(a.w, first * depth);
    Pack(context.runner, {rows_of_tile, a.w.dtype, depth, 1}, count, depth, a.x.dtype, weight);
    if (gradient) Pack(context.runner, {rows_of_tile, a.w.dtype, 1, depth}, depth, count, a.x.dtype, values);
    context.runner.ParallelFor(a.x.dim[0] * row_parts, [&](int64_t i, int thread) {
      const int64_t begin = i / row_parts * length + i % row_parts * sizes.rows;
      const int64_t end = std::min(begin + sizes.rows, (i / row_parts + 1) * length);
      for (int64_t row = begin; row < end;) {
        if (labels[row] == kIgnoredLabel) {
          ++row;
          continue;
        }
        int64_t after = row;
        while (after < end && labels[after] != kIgnoredLabel) ++after;
        ActiveLoops().cross_entropy({.x = {At(a.x, row * depth), a.x.dtype, depth, 1},
                                     .weight = weight,
                                     .values = gradient ? values : nullptr,
                                     .weight_rows = rows_of_tile,
                                     .weight_dtype = a.w.dtype,
                                     .rows = after - row,
                                     .depth = depth,
                                     .vocabulary = count,
                                     .first_row = a.first_row + first,
                                     .labels = labels + row,
                                     .maximum = a.maximum.as<float>() + row,
                                     .sum = a.sum.as<float>() + row,
                                     .label_logit = a.label_logit.as<float>() + row,
                                     .expected_row = gradient ? a.expected_row.as<float>() + row * depth : nullptr,
                                     .label_row = gradient ? a.label_row.as<float>() + row * depth : nullptr,
                                     .scratch = scratch + static_cast<size_t>(thread) * sizes.thread});
        row = after;
      }
    });
  }
  return Status::Ok();
}

}  // namespace lema::cpu
