// Compute capabilities as 10 · major + minor, and what they bring.
#pragma once

namespace lema::cuda {

// mma of bf16, ldmatrix and cp.async.
inline constexpr int kTensorCoreCapability = 80;

}  // namespace lema::cuda
