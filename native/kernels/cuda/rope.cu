// y₁ = x₁·cos − d·x₂·sin, y₂ = x₂·cos + d·x₁·sin on the halves of every head: one pair a thread.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

__global__ void RopeKernel(const float* x, const float* cosine, const float* sine, Elements y, int64_t heads, int64_t pairs,
                           float direction, bool accumulate, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kElementwiseThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x; i < count; i += stride) {
    const int64_t pair = i % pairs, head = i / pairs;  // the head of a token, counted over all tokens
    const int64_t angle = head / heads * pairs + pair;
    const int64_t low = head * 2 * pairs + pair, high = low + pairs;
    const float c = cosine[angle], s = direction * sine[angle];
    const float x1 = x[low], x2 = x[high];
    const float y1 = __fsub_rn(__fmul_rn(x1, c), __fmul_rn(x2, s)), y2 = __fadd_rn(__fmul_rn(x2, c), __fmul_rn(x1, s));
    y.Store(low, accumulate ? __fadd_rn(y1, y[low]) : y1);
    y.Store(high, accumulate ? __fadd_rn(y2, y[high]) : y2);
  }
}

}  // namespace

Status PrepareRope(const RopeArgs& a, DevicePreparation*) { return CheckRope(a.x, a.cosine, a.direction); }

Status Rope(const RopeArgs& a, const LaunchContext& context) {
  const int64_t pairs = a.cosine.dim[2], count = a.x.elements() / 2;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(Blocks(count, kElementwiseThreads), kElementwiseBlocks));
  return Launch(RopeKernel, {blocks, 1, 1}, kElementwiseThreads, context, a.x.as<const float>(), a.cosine.as<const float>(),
                a.sine.as<const float>(), ElementsOf(a.y), a.x.dim[2], pairs, static_cast<float>(a.direction), a.y_accumulate,
                count);
}

}  // namespace lema::cuda
