// loss = (Σ_b Σ_s losses[b,s]) · inverse_tokens, in f64: one block, a fixed tree.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void __launch_bounds__(kRowThreads) ReduceLossKernel(const float* losses, int64_t count, const float* inverse_tokens, double* loss) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < count; i += kRowThreads) sum += static_cast<double>(losses[i]);
  sum = BlockSum<kRowThreads, double>::Of(sum);
  if (threadIdx.x == 0) *loss = sum * static_cast<double>(*inverse_tokens);
}

}  // namespace

Status PrepareReduceLoss(const ReduceLossArgs&, DevicePreparation*) { return Status::Ok(); }

Status ReduceLoss(const ReduceLossArgs& a, const LaunchContext& context) {
  return Launch(ReduceLossKernel, {1, 1, 1}, kRowThreads, context, a.losses.as<const float>(), a.losses.elements(),
                a.inverse_tokens.as<const float>(), a.loss.as<double>());
}

}  // namespace lema::cuda
