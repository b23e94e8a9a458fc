// Kernels that treat every element by itself: four neighbours a thread, in one access where the address allows.
#pragma once

#include "cuda/device.h"
#include "cuda/launch.h"

namespace lema::cuda {

inline constexpr int kElementwiseThreads = 256;
inline constexpr int64_t kElementwiseBlocks = 1 << 16;  // the rest by striding

// body(i, left) for every i that is a multiple of 4 below `count`; `left` elements stand from i to the end.
template <typename Body>
__device__ __forceinline__ void ForFours(int64_t count, const Body& body) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kElementwiseThreads * 4;
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * 4; i < count; i += stride) {
    body(i, count - i);
  }
}

// The kernel's last parameter is the count.
template <typename... Parameters, typename... Arguments>
Status LaunchFours(void (*kernel)(Parameters...), int64_t count, const LaunchContext& context, Arguments... arguments) {
  const int64_t blocks = std::min<int64_t>(Blocks(count, kElementwiseThreads * 4), kElementwiseBlocks);
  return Launch(kernel, {static_cast<unsigned>(blocks), 1, 1}, kElementwiseThreads, context, arguments..., count);
}

}  // namespace lema::cuda
