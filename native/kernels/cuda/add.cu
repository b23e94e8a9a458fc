// y = a + b.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void AddKernel(const float* a, const float* b, float* y, int64_t count) {
  ForFours(count, [&](int64_t i, int64_t left) {
    float p[4], q[4];
    LoadFour(a + i, left, p);
    LoadFour(b + i, left, q);
#pragma unroll
    for (int e = 0; e < 4; ++e) p[e] = __fadd_rn(p[e], q[e]);
    StoreFour(y + i, left, p);
  });
}

}  // namespace

Status PrepareAdd(const AddArgs&, DevicePreparation*) { return Status::Ok(); }

Status Add(const AddArgs& a, const LaunchContext& context) {
  return LaunchFours(AddKernel, a.y.elements(), context, a.a.as<const float>(), a.b.as<const float>(), a.y.as<float>());
}

}  // namespace lema::cuda
