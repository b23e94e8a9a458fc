// cosine[b,s,p] = cos(positions[b,s] · inverse_frequencies[p]), sine likewise; the angle is an f32 as in Transformers.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void RopeTableKernel(const int32_t* positions, const float* inverse_frequencies, float* cosine, float* sine,
                                int64_t pairs, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kElementwiseThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x; i < count; i += stride) {
    const float angle = __fmul_rn(static_cast<float>(positions[i / pairs]), inverse_frequencies[i % pairs]);
    cosine[i] = static_cast<float>(cos(static_cast<double>(angle)));
    sine[i] = static_cast<float>(sin(static_cast<double>(angle)));
  }
}

}  // namespace

Status PrepareRopeTable(const RopeTableArgs&, DevicePreparation*) { return Status::Ok(); }

Status RopeTable(const RopeTableArgs& a, const LaunchContext& context) {
  const int64_t count = a.cosine.elements();
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(Blocks(count, kElementwiseThreads), kElementwiseBlocks));
  return Launch(RopeTableKernel, {blocks, 1, 1}, kElementwiseThreads, context, a.positions.as<const int32_t>(),
                a.inverse_frequencies.as<const float>(), a.cosine.as<float>(), a.sine.as<float>(), a.inverse_frequencies.dim[0],
                count);
}

}  // namespace lema::cuda
