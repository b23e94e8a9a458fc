// y = silu(gate) · up, silu(z) = z / (1 + e^(−z)).
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void SwigluKernel(const float* gate, const float* up, Elements y, int64_t count) {
  ForFours(count, [&](int64_t i, int64_t left) {
    float g[4], u[4];
    LoadFour(gate + i, left, g);
    LoadFour(up + i, left, u);
#pragma unroll
    for (int e = 0; e < 4; ++e) u[e] = g[e] / (1.0f + expf(-g[e])) * u[e];
    StoreFour(y, i, left, u);
  });
}

}  // namespace

Status PrepareSwiglu(const SwigluArgs&, DevicePreparation*) { return Status::Ok(); }

Status Swiglu(const SwigluArgs& a, const LaunchContext& context) {
  return LaunchFours(SwigluKernel, a.y.elements(), context, a.gate.as<const float>(), a.up.as<const float>(), ElementsOf(a.y));
}

}  // namespace lema::cuda
