// Gradient of attention: one task for each group of heads of each sequence.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

size_t ThreadScratch(const TensorView& q) {
  return (ActiveLoops().attention_backward_scratch(q.dim[1], q.dim[3]) + 63) / 64 * 64;
}

}  // namespace

Status PrepareAttentionBackward(const AttentionBackwardArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckGroupedHeads(a.q, a.k));
  preparation->workspace_bytes = static_cast<size_t>(threads) * ThreadScratch(a.q);
  return Status::Ok();
}

Status AttentionBackward(const AttentionBackwardArgs& a, PreparedCall*, KernelContext& context) {
  LEMA_RETURN_IF_ERROR(CheckSegments(a.segment_start));
  const int64_t length = a.q.dim[1], heads = a.q.dim[2], groups = a.k.dim[2];
  const int64_t group_heads = heads / groups;
  const size_t scratch = ThreadScratch(a.q);
  context.runner.ParallelFor(a.q.dim[0] * groups, [&](int64_t i, int thread) {
    const int64_t b = i / groups;
    const int64_t group = i % groups;
    const int64_t first = group * group_heads;
    const AttentionBackwardTask task{.d_o = HeadOf(a.do_, b, first),
                                     .q = HeadOf(a.q, b, first),
                                     .k = HeadOf(a.k, b, group),
                                     .v = HeadOf(a.v, b, group),
                                     .o = HeadOf(a.o, b, first),
                                     .dq = HeadOf(a.dq, b, first),
                                     .dk = HeadOf(a.dk, b, group),
                                     .dv = HeadOf(a.dv, b, group),
                                     .segment_start = a.segment_start.as<const int32_t>() + b * length,
                                     .log_sum_exp = a.log_sum_exp.as<const float>() + (b * heads + first) * length,
                                     .length = length,
                                     .size = a.q.dim[3],
                                     .heads = group_heads,
                                     .scale = a.scale};
    ActiveLoops().attention_backward(task, context.workspace.data + static_cast<size_t>(thread) * scratch);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
