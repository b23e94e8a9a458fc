// The gradients of attention: dq, dk and dv.
#include "cuda/attention_backward_tensor.h"
#include "cuda/attention_backward_warpgroup.h"
#include "cuda/attention_path.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareAttentionBackward(const AttentionBackwardArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckHeadSize(a.q.dim[3]));
  preparation->workspace_bytes = static_cast<size_t>(a.log_sum_exp.elements()) * sizeof(float);  // Σ do·o of each query
  return CheckGroupedHeads(a.q, a.k);
}

Status AttentionBackward(const AttentionBackwardArgs& a, const LaunchContext& context) {
  const AttentionBackwardCall backward{.do_ = ElementsOf(a.do_),
                          .q = ElementsOf(a.q),
                          .k = ElementsOf(a.k),
                          .v = ElementsOf(a.v),
                          .o = ElementsOf(a.o),
                          .dq = ElementsOf(a.dq),
                          .dk = ElementsOf(a.dk),
                          .dv = ElementsOf(a.dv),
                          .log_sum_exp = a.log_sum_exp.as<const float>(),
                          .segment_start = a.segment_start.as<const int32_t>(),
                          .length = a.q.dim[1],
                          .heads = a.q.dim[2],
                          .groups = a.k.dim[2],
                          .size = a.q.dim[3],
                          .scale = a.scale,
                          .fault = context.fault};
  const bool in_bf16 = a.q.dtype == DType::kBF16 && a.o.dtype == DType::kBF16;
  // Tiles fit into the 48 KiB of shared memory that every device has, those of warpgroups into 227.
  switch (AttentionPathOf(backward.size, in_bf16, context.capability)) {
    case AttentionPath::kWarpgroup64: return LaunchWarpgroupBackward<64>(backward, a.q.dim[0], context);
    case AttentionPath::kWarpgroup128: return LaunchWarpgroupBackward<128>(backward, a.q.dim[0], context);
    case AttentionPath::kTensor64: return LaunchTensorBackward<64>(backward, a.q.dim[0], context);
    case AttentionPath::kTensor128: return LaunchTensorBackward<128>(backward, a.q.dim[0], context);
    case AttentionPath::kSimt64: return LaunchBackward<64, 32>(backward, a.q.dim[0], context);
    case AttentionPath::kSimt128: return LaunchBackward<128, 16>(backward, a.q.dim[0], context);
    case AttentionPath::kSimt256: return LaunchBackward<256, 8>(backward, a.q.dim[0], context);
  }
  return Status(StatusCode::kKernelError, "an attention without a kernel");
}

}  // namespace lema::cuda
