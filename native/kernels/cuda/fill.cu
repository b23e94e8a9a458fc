// y[i] = value.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void FillKernel(float* y, float value, int64_t count) {
  const float values[4] = {value, value, value, value};
  ForFours(count, [&](int64_t i, int64_t left) { StoreFour(y + i, left, values); });
}

}  // namespace

Status PrepareFill(const FillArgs&, DevicePreparation*) { return Status::Ok(); }

Status Fill(const FillArgs& a, const LaunchContext& context) {
  return LaunchFours(FillKernel, a.y.elements(), context, a.y.as<float>(), a.value);
}

}  // namespace lema::cuda
