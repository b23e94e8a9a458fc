// y[b, 0] = x[b, new_tokens − 1]: one block a sequence. A count outside of the rows is a fault, and the row is zero.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void LastRowKernel(const float* x, const int32_t* new_tokens, float* y, int64_t rows, int64_t width, DeviceFault* fault) {
  const int64_t b = blockIdx.x;
  const int32_t count = new_tokens[b];
  const bool legal = count >= 1 && count <= rows;
  if (!legal && threadIdx.x == 0) Report(fault, StatusCode::kOutOfRange, b, count);
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4] = {};
    if (legal) LoadFour(x + (b * rows + count - 1) * width + h, left, v);
    StoreFour(y + b * width + h, left, v);
  });
}

}  // namespace

Status PrepareLastRow(const LastRowArgs&, DevicePreparation*) { return Status::Ok(); }

Status LastRow(const LastRowArgs& a, const LaunchContext& context) {
  return Launch(LastRowKernel, {static_cast<unsigned>(a.x.dim[0]), 1, 1}, kRowThreads, context, a.x.as<const float>(),
                a.new_tokens.as<const int32_t>(), a.y.as<float>(), a.x.dim[1], a.x.dim[2], context.fault);
}

}  // namespace lema::cuda
