// The forward of attention by the kernel that the head and the device ask for.
#pragma once

#include "cuda/attention_forward.h"
#include "cuda/attention_forward_tensor.h"
#include "cuda/attention_path.h"

namespace lema::cuda {

// Tiles that fit into the 48 KiB of shared memory that every device has.
inline Status RunAttentionForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  const bool in_bf16 = a.q.dtype == DType::kBF16 && a.o.dtype == DType::kBF16;
  switch (AttentionPathOf(a.size, in_bf16, context.capability)) {
    case AttentionPath::kTensor64: return LaunchTensorForward<64>(a, batch, context);
    case AttentionPath::kTensor128: return LaunchTensorForward<128>(a, batch, context);
    case AttentionPath::kSimt64: return LaunchForward<64, 64, 32>(a, batch, context);
    case AttentionPath::kSimt128: return LaunchForward<128, 32, 32>(a, batch, context);
    case AttentionPath::kSimt256: return LaunchForward<256, 16, 16>(a, batch, context);
  }
  return Status(StatusCode::kKernelError, "an attention without a kernel");
}

}  // namespace lema::cuda
