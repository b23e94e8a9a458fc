// Kernels with one block a row. A thread always takes the same elements of a row, in the same order, so that the sums
// over a row do not depend on its address.
#pragma once

#include "cuda/device.h"
#include "cuda/launch.h"

namespace lema::cuda {

inline constexpr int kRowThreads = 256;

// body(h, left) for this thread's share of the multiples of 4 below `width`; `left` elements stand from h to the end.
template <typename Body>
__device__ __forceinline__ void ForFoursOfRow(int64_t width, const Body& body) {
  for (int64_t h = static_cast<int64_t>(threadIdx.x) * 4; h < width; h += kRowThreads * 4) body(h, width - h);
}

}  // namespace lema::cuda
