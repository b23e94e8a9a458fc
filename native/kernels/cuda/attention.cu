// o = softmax(scale · q·kᵀ over the earlier positions of the segment) · v, and the log-sum-exp for the backward.
#include "cuda/attention_forward_run.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareAttention(const AttentionArgs& a, DevicePreparation*) {
  LEMA_RETURN_IF_ERROR(CheckHeadSize(a.q.dim[3]));
  return CheckGroupedHeads(a.q, a.k);
}

Status Attention(const AttentionArgs& a, const LaunchContext& context) {
  const AttentionForward forward{.q = ElementsOf(a.q),
                                 .k = ElementsOf(a.k),
                                 .v = ElementsOf(a.v),
                                 .o = ElementsOf(a.o),
                                 .segment_start = a.segment_start.as<const int32_t>(),
                                 .kv_length = nullptr,
                                 .new_tokens = nullptr,
                                 .log_sum_exp = a.log_sum_exp.as<float>(),
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
