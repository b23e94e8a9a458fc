// Attention over a cache: one task for each block of new positions of each head of each sequence.
#include <cstring>

#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

constexpr int64_t kQueries = 64;  // of a task

size_t ThreadScratch(const AttentionCachedArgs& a) {
  return (ActiveLoops().attention_scratch(a.k.dim[1], a.k.dim[3]) + 63) / 64 * 64;
}

}  // namespace

Status PrepareAttentionCached(const AttentionCachedArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckGroupedHeads(a.q, a.k));
  preparation->workspace_bytes = static_cast<size_t>(threads) * ThreadScratch(a);
  return Status::Ok();
}

Status AttentionCached(const AttentionCachedArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t rows = a.q.dim[1], heads = a.q.dim[2], size = a.q.dim[3], capacity = a.k.dim[1], groups = a.k.dim[2];
  LEMA_RETURN_IF_ERROR(CheckStep(a.kv_length, a.new_tokens, rows, capacity));
  const int64_t blocks = (rows + kQueries - 1) / kQueries;
  const size_t scratch = ThreadScratch(a);
  context.runner.ParallelFor(a.q.dim[0] * heads * blocks, [&](int64_t i, int thread) {
    const int64_t block = blocks - 1 - i % blocks;  // the longest first
    const int64_t n = i / blocks % heads;
    const int64_t b = i / blocks / heads;
    const int64_t group = n * groups / heads;
    const int64_t first = block * kQueries;
    const int64_t end = std::min(first + kQueries, rows);
    const int64_t count = a.new_tokens.as<const int32_t>()[b];
    for (int64_t s = std::max(first, count); s < end; ++s) {
      std::memset(At(a.o, ((b * rows + s) * heads + n) * size), 0, static_cast<size_t>(size) * SizeOf(a.o.dtype));
    }
    if (count <= first) return;
    const AttentionTask task{.q = HeadOf(a.q, b, n),
                             .k = HeadOf(a.k, b, group),
                             .v = HeadOf(a.v, b, group),
                             .o = HeadOf(a.o, b, n),
                             .segment_start = nullptr,
                             .log_sum_exp = nullptr,
                             .length = capacity,
                             .size = size,
                             .scale = a.scale,
                             .first_query = first,
                             .queries = std::min(end, count) - first,
                             .past = a.kv_length.as<const int32_t>()[b]};
    ActiveLoops().attention(task, context.workspace.data + static_cast<size_t>(thread) * scratch);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
