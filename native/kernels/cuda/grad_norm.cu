// norm = √Σ squares, clip and skip: a few numbers, summed in order as the reference kernel does.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void GradNormKernel(const double* squares, int64_t count, double* norm, float* clip, int32_t* skip, float max_norm) {
  if (threadIdx.x != 0) return;
  double total = 0.0;
  for (int64_t i = 0; i < count; ++i) total += squares[i];
  const double root = sqrt(total);
  const double factor = max_norm > 0.0f ? max_norm / (root + 1e-6) : 1.0;
  *norm = root;
  *clip = factor < 1.0 ? static_cast<float>(factor) : 1.0f;
  *skip = root <= 1.7976931348623157e308 ? 0 : 1;  // neither an infinity nor NaN
}

}  // namespace

Status PrepareGradNorm(const GradNormArgs&, DevicePreparation*) { return Status::Ok(); }

Status GradNorm(const GradNormArgs& a, const LaunchContext& context) {
  return Launch(GradNormKernel, {1, 1, 1}, kWarp, context, a.squares.as<const double>(), a.squares.elements(), a.norm.as<double>(),
                a.clip.as<float>(), a.skip.as<int32_t>(), a.max_norm);
}

}  // namespace lema::cuda
