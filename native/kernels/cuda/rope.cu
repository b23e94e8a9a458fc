// y₁ = x₁·cos − d·x₂·sin, y₂ = x₂·cos + d·x₁·sin on the halves of every head: one block a token, four pairs a thread.
#include "cuda/elementwise.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

__global__ void __launch_bounds__(kElementwiseThreads)
    RopeKernel(const float* x, const float* cosine, const float* sine, Elements y, unsigned heads, unsigned fours_of_head,
               int64_t pairs, float direction, bool accumulate) {
  const int64_t token = blockIdx.x;
  const unsigned fours = heads * fours_of_head;
  for (unsigned i = threadIdx.x; i < fours; i += blockDim.x) {
    const unsigned head = i / fours_of_head;
    const int64_t pair = static_cast<int64_t>(i - head * fours_of_head) * 4, left = pairs - pair;
    const int64_t low = (token * heads + head) * 2 * pairs + pair, high = low + pairs;
    float x1[4], x2[4], c[4], s[4], y1[4], y2[4];
    LoadFour(x + low, left, x1);
    LoadFour(x + high, left, x2);
    LoadFour(cosine + token * pairs + pair, left, c);
    LoadFour(sine + token * pairs + pair, left, s);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      s[e] = direction * s[e];
      y1[e] = __fsub_rn(__fmul_rn(x1[e], c[e]), __fmul_rn(x2[e], s[e]));
      y2[e] = __fadd_rn(__fmul_rn(x2[e], c[e]), __fmul_rn(x1[e], s[e]));
    }
    if (accumulate) {
      LoadFour(y, low, left, x1);
      LoadFour(y, high, left, x2);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        y1[e] = __fadd_rn(y1[e], x1[e]);
        y2[e] = __fadd_rn(y2[e], x2[e]);
      }
    }
    StoreFour(y, low, left, y1);
    StoreFour(y, high, left, y2);
  }
}

}  // namespace

Status PrepareRope(const RopeArgs& a, DevicePreparation*) { return CheckRope(a.x, a.cosine, a.direction); }

Status Rope(const RopeArgs& a, const LaunchContext& context) {
  const int64_t tokens = a.x.dim[0] * a.x.dim[1], pairs = a.cosine.dim[2];
  const auto fours_of_head = static_cast<unsigned>((pairs + 3) / 4);
  const auto heads = static_cast<unsigned>(a.x.dim[2]);
  const unsigned threads = std::min<unsigned>(Blocks(heads * fours_of_head, kWarp) * kWarp, kElementwiseThreads);
  return Launch(RopeKernel, {static_cast<unsigned>(tokens), 1, 1}, threads, context, a.x.as<const float>(), a.cosine.as<const float>(),
                a.sine.as<const float>(), ElementsOf(a.y), heads, fours_of_head, pairs, static_cast<float>(a.direction),
                a.y_accumulate);
}

}  // namespace lema::cuda
