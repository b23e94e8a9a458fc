// Compute capabilities as 10 · major + minor, and what they bring.
#pragma once

#include "core/status.h"

namespace lema::cuda {

// mma of bf16 and cp.async.
inline constexpr int kTensorCoreCapability = 80;
// mma of f16, and ldmatrix. lema multiplies in f16 from here on, up to where it multiplies in bf16.
inline constexpr int kF16TensorCoreCapability = 75;

// Warpgroups. Their instructions are in code for sm_90a, which no other device runs.
inline constexpr int kWarpgroupCapability = 90;

// What kernels may count on: the device's capability, or the one that they were compiled for where that is less, as it is
// for PTX on a device newer than the object; kernels that need more are empty there.
// 89 stands for a device of 9.0 whose kernels were compiled without warpgroups.
Status FindCapability(int* capability);

}  // namespace lema::cuda
