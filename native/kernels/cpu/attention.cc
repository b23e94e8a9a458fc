// Attention: one task for each block of queries of each head of each sequence.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

constexpr int64_t kQueries = 64;  // of a task

size_t ThreadScratch(const TensorView& q) {
  return (ActiveLoops().attention_scratch(q.dim[1], q.dim[3]) + 63) / 64 * 64;
}

}  // namespace

Status PrepareAttention(const AttentionArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckGroupedHeads(a.q, a.k));
  preparation->workspace_bytes = static_cast<size_t>(threads) * ThreadScratch(a.q);
  return Status::Ok();
}

Status Attention(const AttentionArgs& a, PreparedCall*, KernelContext& context) {
  LEMA_RETURN_IF_ERROR(CheckSegments(a.segment_start));
  const int64_t length = a.q.dim[1], heads = a.q.dim[2], groups = a.k.dim[2];
  const int64_t blocks = (length + kQueries - 1) / kQueries;
  const size_t scratch = ThreadScratch(a.q);
  context.runner.ParallelFor(a.q.dim[0] * heads * blocks, [&](int64_t i, int thread) {
    const int64_t block = blocks - 1 - i % blocks;  // the longest first
    const int64_t n = i / blocks % heads;
    const int64_t b = i / blocks / heads;
    const int64_t group = n * groups / heads;
    const AttentionTask task{.q = HeadOf(a.q, b, n),
                             .k = HeadOf(a.k, b, group),
                             .v = HeadOf(a.v, b, group),
                             .o = HeadOf(a.o, b, n),
                             .segment_start = a.segment_start.as<const int32_t>() + b * length,
                             .log_sum_exp = a.log_sum_exp.as<float>() + (b * heads + n) * length,
                             .length = length,
                             .size = a.q.dim[3],
                             .scale = a.scale,
                             .first_query = block * kQueries,
                             .queries = std::min(kQueries, length - block * kQueries),
                             .past = 0};
    ActiveLoops().attention(task, context.workspace.data + static_cast<size_t>(thread) * scratch);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
