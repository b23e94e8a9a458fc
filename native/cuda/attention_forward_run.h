// The forward of attention by the kernel that the head and the device ask for.
#pragma once

#include "cuda/attention_forward.h"
#include "cuda/attention_forward_tensor.h"
#include "cuda/attention_forward_warpgroup.h"
#include "cuda/attention_path.h"

namespace lema::cuda {

// Tiles fit into the 48 KiB of shared memory that every device has, those of warpgroups into 114 of their 227.
inline Status RunAttentionForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  const bool in_bf16 = a.q.dtype == DType::kBF16 && a.o.dtype == DType::kBF16;
  // Warpgroups count on a largest score that is largest when scaled.
  const int capability = a.scale > 0.0f ? context.capability : std::min(context.capability, kWarpgroupCapability - 1);
  switch (AttentionPathOf(a.size, in_bf16, capability)) {
    case AttentionPath::kWarpgroup64: return LaunchWarpgroupForward<64>(a, batch, context);
    case AttentionPath::kWarpgroup128: return LaunchWarpgroupForward<128>(a, batch, context);
    case AttentionPath::kTensor64: return LaunchTensorForward<64>(a, batch, context);
    case AttentionPath::kTensor128: return LaunchTensorForward<128>(a, batch, context);
    case AttentionPath::kSimt64: return LaunchForward<64, 64, 32>(a, batch, context);
    case AttentionPath::kSimt128: return LaunchForward<128, 32, 32>(a, batch, context);
    case AttentionPath::kSimt256: return LaunchForward<256, 16, 16>(a, batch, context);
  }
  return Status(StatusCode::kKernelError, "an attention without a kernel");
}

}  // namespace lema::cuda
