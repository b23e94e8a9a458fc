// o = softmax(scale · q·kᵀ over the cached positions up to the query's own) · v; padding rows are zero.
#include "cuda/attention_forward_run.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareAttentionCached(const AttentionCachedArgs& a, DevicePreparation*) {
  LEMA_RETURN_IF_ERROR(CheckHeadSize(a.q.dim[3]));
  return CheckGroupedHeads(a.q, a.k);
}

Status AttentionCached(const AttentionCachedArgs& a, const LaunchContext& context) {
  const AttentionForward forward{.q = ElementsOf(a.q),
                                 .k = ElementsOf(a.k),
                                 .v = ElementsOf(a.v),
                                 .o = ElementsOf(a.o),
                                 .segment_start = nullptr,
                                 .kv_length = a.kv_length.as<const int32_t>(),
                                 .new_tokens = a.new_tokens.as<const int32_t>(),
                                 .log_sum_exp = nullptr,
                                 .length = a.q.dim[1],
                                 .capacity = a.k.dim[1],
                                 .heads = a.q.dim[2],
                                 .groups = a.k.dim[2],
                                 .size = a.q.dim[3],
                                 .scale = a.scale,
                                 .fault = context.fault};
  return RunAttentionForward(forward, a.q.dim[0], context);
}

}  // namespace lema::cuda
