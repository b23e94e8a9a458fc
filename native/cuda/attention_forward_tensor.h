// The forward of attention on tensor cores (attention_tensor.h); the algorithm is that of attention_forward.h.
#pragma once

#include "cuda/attention_forward.h"
#include "cuda/attention_tensor.h"

namespace lema::cuda {

template <int kSize>
struct TensorForwardTile {
  static constexpr int kQueries = 64, kKeys = 32, kThreads = kQueries / 16 * kWarp;
  SplitRows<kKeys, kSize> k, v;
};

template <int kSize>
__global__ void __launch_bounds__(TensorForwardTile<kSize>::kThreads, 2) TensorForwardKernel(AttentionForward a) {
#if LEMA_TENSOR_CORES
  using Tile = TensorForwardTile<kSize>;
  constexpr int kKeys = Tile::kKeys, kQueries = Tile::kQueries, kThreads = Tile::kThreads;
  auto& shared = Shared<Tile>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int64_t first = (static_cast<int64_t>(gridDim.x) - 1 - blockIdx.x) * kQueries;  // the longest first
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t own = first + static_cast<int>(threadIdx.x) / kWarp * 16 + lane / 4;  // and the eighth query behind it
  const Step step = StepOf(a, batch);
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.capacity, a.groups, group, a.size), v = HeadOf(a.v, batch, a.capacity, a.groups, group, a.size);
  int start[2], position[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    int64_t its_start, its_position;
    KeysOf(a, batch, step, own + half * 8, &its_start, &its_position);
    start[half] = static_cast<int>(its_start);
    position[half] = static_cast<int>(its_position);
  }
  const KeyRange range = KeysOfBlock(a, batch, step, first, kQueries);

  SplitFragment query[kSize / 16];
#pragma unroll
  for (int d = 0; d < kSize / 16; ++d) query[d].Take(q, own, step.count, d * 16);
  float result[kSize / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  const int end = first < step.count ? static_cast<int>(range.last) + 1 : 0, keys = static_cast<int>(step.past + step.count);
  for (int key = static_cast<int>(range.begin) / kKeys * kKeys; key < end; key += kKeys) {
    __syncthreads();  // the tiles of the round before have been read
    shared.k.template Load<kThreads>(k, key, keys);
    shared.v.template Load<kThreads>(v, key, keys);
    __syncthreads();
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int d = 0; d < kSize / 16; ++d) {
#pragma unroll
      for (int t = 0; t < kKeys / 16; ++t) {
        uint32_t high[4], low[4];
        RightFragments<Along::kDepth, kSize>(shared.k.high, 0, t * 16, d * 16, high);
        RightFragments<Along::kDepth, kSize>(shared.k.low, 0, t * 16, d * 16, low);
        MultiplySplit(scores[t * 2], scores[t * 2 + 1], query[d], high, low);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = maximum[half];
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          const int t = key + j * 8 + lane % 4 * 2 + e % 2;
          scores[j][e] = t >= start[half] && t <= position[half] ? __fmul_rn(a.scale, scores[j][e]) : -INFINITY;
          largest = scores[j][e] > largest ? scores[j][e] : largest;
        }
      }
      largest = MaximumOfLanes<4>(largest);
      const bool any = largest > -INFINITY;
      const float factor = any ? expf(maximum[half] - largest) : 1.0f;
      float added = 0.0f;
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          scores[j][e] = any ? expf(scores[j][e] - largest) : 0.0f;
          added += scores[j][e];
        }
      }
      sum[half] = fmaf(sum[half], factor, SumOfLanes<4>(added));
      maximum[half] = largest;
#pragma unroll
      for (int j = 0; j < kSize / 8; ++j) {
        result[j][half * 2] *= factor;
        result[j][half * 2 + 1] *= factor;
      }
    }
#pragma unroll
    for (int t = 0; t < kKeys / 16; ++t) {
      SplitFragment p;
      p.Take(scores[t * 2], scores[t * 2 + 1]);
#pragma unroll
      for (int d = 0; d < kSize / 16; ++d) {
        uint32_t high[4], low[4];
        RightFragments<Along::kOuter, kSize>(shared.v.high, 0, d * 16, t * 16, high);
        RightFragments<Along::kOuter, kSize>(shared.v.low, 0, d * 16, t * 16, low);
        MultiplySplit(result[d * 2], result[d * 2 + 1], p, high, low);
      }
    }
  }
  const int64_t written = NotAhead(own);
  StoreSums<kSize>(o, written, a.length, result, sum[0] > 0.0f ? 1.0f / sum[0] : 0.0f, sum[1] > 0.0f ? 1.0f / sum[1] : 0.0f);
  if (a.log_sum_exp == nullptr || lane % 4 != 0) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t s = written + half * 8;
    if (s < a.length) a.log_sum_exp[(batch * a.heads + n) * a.length + s] = maximum[half] + logf(sum[half]);
  }
#endif
}

template <int kSize>
Status LaunchTensorForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  using Tile = TensorForwardTile<kSize>;
  const dim3 grid{Blocks(a.length, Tile::kQueries), static_cast<unsigned>(a.heads), static_cast<unsigned>(batch)};
  return Launch(TensorForwardKernel<kSize>, grid, Tile::kThreads, context, a);
}

}  // namespace lema::cuda
