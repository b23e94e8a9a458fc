// y (+)= x in the dtype of y.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void ConvertKernel(Elements x, Elements y, bool accumulate, int64_t count) {
  ForFours(count, [&](int64_t i, int64_t left) {
    float values[4];
    LoadFour(x, i, left, values);
    if (accumulate) {
      float before[4];
      LoadFour(y, i, left, before);
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] = __fadd_rn(values[e], before[e]);
    }
    StoreFour(y, i, left, values);
  });
}

}  // namespace

Status PrepareConvert(const ConvertArgs&, DevicePreparation*) { return Status::Ok(); }

Status Convert(const ConvertArgs& a, const LaunchContext& context) {
  return LaunchFours(ConvertKernel, a.y.elements(), context, ElementsOf(a.x), ElementsOf(a.y), a.y_accumulate);
}

}  // namespace lema::cuda
