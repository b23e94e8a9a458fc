// The forward of attention on tensor cores (attention_tensor.h), over whole sequences; the algorithm is that of
// attention_forward.h, with powers of two in place of e.
#pragma once

#include "cuda/attention_forward.h"
#include "cuda/attention_tensor.h"

namespace lema::cuda {

template <int kSize>
__global__ void __launch_bounds__(kTensorAttentionThreads, kSize > 64 ? 2 : 3) TensorForwardKernel(AttentionForward a) {
#if LEMA_TENSOR_CORES
  using Ring = KeyValueRing<kSize>;
  constexpr int kKeys = Ring::kKeys, kQueries = Ring::kQueries, kStages = Ring::kStages, kStage = Ring::kStage;
  auto& shared = Shared<Ring>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int length = static_cast<int>(a.length);
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;  // the longest first
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int own = first + static_cast<int>(threadIdx.x) / kWarp * 16 + lane / 4;  // and the eighth query behind it
  const int32_t* const starts = a.segment_start + batch * a.length;
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  const int begin = EarliestKey<kQueries>(starts, first, length, a.fault) / kKeys * kKeys;
  const int end = first + kQueries < length ? first + kQueries : length;
  for (int stage = 0; stage < kStages - 1; ++stage) shared.Fetch(k, v, begin + stage * kKeys, end, length, stage);

  int start[2], position[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int s = own + half * 8;
    start[half] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : 0;
    position[half] = s < length ? s : -1;
  }
  uint32_t query[kSize / 16][4];
#pragma unroll
  for (int i = 0; i < kSize / 16; ++i) LoadFragment(q, own, length, i * 16, query[i]);
  const float scale = a.scale * kLog2E;
  float result[kSize / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};  // `sum` of this lane's keys
  int stage = 0;
  for (int key = begin; key < end; key += kKeys) {
    AwaitCopies<kStages - 2>();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    shared.Fetch(k, v, key + (kStages - 1) * kKeys, end, length, Ring::Before(stage));
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kSize / 16; ++i) {
#pragma unroll
      for (int t = 0; t < kKeys / 16; ++t) {
        uint32_t right[4];
        RightFragments<Along::kDepth, kSize>(shared.k, stage * kStage, t * 16, i * 16, right);
        Multiply(scores[t * 2], scores[t * 2 + 1], query[i], right);
      }
    }
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool whole = start[half] <= key && key + kKeys - 1 <= position[half];
      float largest = maximum[half];
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          const int t = key + j * 8 + lane % 4 * 2 + e % 2;
          scores[j][e] = whole || (t >= start[half] && t <= position[half]) ? __fmul_rn(scale, scores[j][e]) : -INFINITY;
          largest = scores[j][e] > largest ? scores[j][e] : largest;
        }
      }
      largest = MaximumOfLanes<4>(largest);
      const float reference = largest > -INFINITY ? largest : 0.0f;  // where no key is seen yet, every power is zero
      factor[half] = exp2f(maximum[half] - reference);
      float added = 0.0f;
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          scores[j][e] = exp2f(scores[j][e] - reference);
          added += scores[j][e];
        }
      }
      sum[half] = fmaf(sum[half], factor[half], added);
      maximum[half] = largest;
    }
    if (factor[0] != 1.0f || factor[1] != 1.0f) {
#pragma unroll
      for (int j = 0; j < kSize / 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) result[j][e] *= factor[e / 2];
      }
    }
#pragma unroll
    for (int t = 0; t < kKeys / 16; ++t) {
      const SplitFragment p(scores[t * 2], scores[t * 2 + 1]);
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t right[4];
        RightFragments<Along::kOuter, kSize>(shared.v, stage * kStage, i * 16, t * 16, right);
        Multiply(result[i * 2], result[i * 2 + 1], p, right);
      }
    }
    stage = Ring::Behind(stage);
  }
  AwaitCopies<0>();
  float factors[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] = SumOfLanes<4>(sum[half]);
    factors[half] = sum[half] > 0.0f ? 1.0f / sum[half] : 0.0f;
  }
  const int64_t written = NotAhead(own);
  StoreSums<kSize>(o, written, length, result, factors);
  if (lane % 4 != 0) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t s = written + half * 8;
    if (s < length) a.log_sum_exp[(batch * a.heads + n) * a.length + s] = fmaf(maximum[half], kLogOf2, logf(sum[half]));
  }
#endif
}

template <int kSize>
Status LaunchTensorForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  const dim3 grid{Blocks(a.length, KeyValueRing<kSize>::kQueries), static_cast<unsigned>(a.heads), static_cast<unsigned>(batch)};
  return Launch(TensorForwardKernel<kSize>, grid, kTensorAttentionThreads, context, a);
}

}  // namespace lema::cuda
