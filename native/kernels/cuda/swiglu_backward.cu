// dup = dy·silu(gate); dgate = dy·up·σ(gate)·(1 + gate·(1 − σ(gate))).
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void SwigluBackwardKernel(Elements dy, const float* gate, const float* up, Elements dgate, Elements dup, int64_t count) {
  ForFours(count, [&](int64_t i, int64_t left) {
    float d[4], g[4], u[4];
    LoadFour(dy, i, left, d);
    LoadFour(gate + i, left, g);
    LoadFour(up + i, left, u);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float sigmoid = 1.0f / (1.0f + expf(-g[e]));
      u[e] = d[e] * u[e] * sigmoid * (1.0f + g[e] * (1.0f - sigmoid));
      d[e] = d[e] * g[e] * sigmoid;
    }
    StoreFour(dgate, i, left, u);
    StoreFour(dup, i, left, d);
  });
}

}  // namespace

Status PrepareSwigluBackward(const SwigluBackwardArgs&, DevicePreparation*) { return Status::Ok(); }

Status SwigluBackward(const SwigluBackwardArgs& a, const LaunchContext& context) {
  return LaunchFours(SwigluBackwardKernel, a.dy.elements(), context, ElementsOf(a.dy), a.gate.as<const float>(),
                     a.up.as<const float>(), ElementsOf(a.dgate), ElementsOf(a.dup));
}

}  // namespace lema::cuda
