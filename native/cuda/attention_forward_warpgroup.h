// The forward of attention by warpgroups (attention_warpgroup.h), over whole sequences; the algorithm is that of
// attention_forward.h, with powers of two in place of e. The scale of scores is positive.
#pragma once

#include "cuda/attention_forward.h"
#include "cuda/attention_warpgroup.h"

namespace lema::cuda {

template <int kSize>
struct WarpgroupForwardTile {
  static constexpr int kWarpgroups = 2, kStages = 2;
  OwnRows<kSize, kWarpgroups> q;
  PassingRows<kSize, kWarpgroups, kStages> k, v;

  static constexpr int kThreads = decltype(q)::kThreads, kQueries = decltype(q)::kRows;
};

template <int kSize>
__global__ void __launch_bounds__(WarpgroupForwardTile<kSize>::kThreads, 2) WarpgroupForwardKernel(AttentionForward a) {
#if LEMA_WARPGROUPS
  using Tile = WarpgroupForwardTile<kSize>;
  auto& shared = WideShared<Tile>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int length = static_cast<int>(a.length);
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Tile::kQueries;  // the longest first
  const int first_of_warpgroup = first + OwnWarpgroup() * kWarpgroupRows, own = first_of_warpgroup + OwnRowOfWarpgroup();
  const int32_t* const starts = a.segment_start + batch * a.length;
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  const int begin = EarliestKey<Tile::kQueries>(starts, first, length, a.fault) / kPassingRows * kPassingRows;
  const int end = first + Tile::kQueries < length ? first + Tile::kQueries : length;
  const int begin_of_warpgroup = EarliestKey<kWarpgroupRows>(starts, first_of_warpgroup, length, a.fault);
  const int end_of_warpgroup = first_of_warpgroup < length ? first_of_warpgroup + kWarpgroupRows : 0;
  const auto fetch = [&](int key, int stage) {
    if (key < end) {
      shared.k.Copy(k, key, length, stage);
      shared.v.Copy(v, key, length, stage);
    }
    CommitCopies();
  };
  shared.q.Copy(q, first, length);
  fetch(begin, 0);

  int start[2], position[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int s = own + half * 8;
    start[half] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : 0;
    position[half] = s < length ? s : -1;
  }
  const float scale = a.scale * kLog2E;
  float result[kSize / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};  // `sum` of this lane's keys
  int stage = 0;
  for (int key = begin; key < end; key += kPassingRows, stage ^= 1) {
    AwaitCopies<0>();
    ShowToProducts();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    fetch(key + kPassingRows, stage ^ 1);
    if (key >= end_of_warpgroup || key + kPassingRows <= begin_of_warpgroup) continue;
    float scores[kPassingRows / 8][4] = {};
    Settle(scores);
    BeginProducts();
    AddDots(scores, shared.q, shared.k, stage);
    CommitProducts();
    AwaitProducts<0>();
    Settle(scores);
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (key < start[half] || key + kPassingRows - 1 > position[half]) {
#pragma unroll
        for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
          for (int e = half * 2; e < half * 2 + 2; ++e) {
            const int its = key + ColumnOf(j, e);
            if (its < start[half] || its > position[half]) scores[j][e] = -INFINITY;
          }
        }
      }
      float largest = maximum[half];
#pragma unroll
      for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) largest = fmaxf(largest, scores[j][e]);
      }
      largest = MaximumOfLanes<4>(largest);
      const float reference = largest > -INFINITY ? __fmul_rn(scale, largest) : 0.0f;  // where no key is seen yet, every power is zero
      factor[half] = PowerOfTwo(fmaf(scale, maximum[half], -reference));
      float added = 0.0f;
#pragma unroll
      for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          scores[j][e] = PowerOfTwo(fmaf(scale, scores[j][e], -reference));
          added += scores[j][e];
        }
      }
      sum[half] = fmaf(sum[half], factor[half], added);
      maximum[half] = largest;
    }
    const RoundedFactors p(scores);
    if (factor[0] != 1.0f || factor[1] != 1.0f) {
#pragma unroll
      for (int j = 0; j < kSize / 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) result[j][e] *= factor[e / 2];
      }
    }
    Settle(result);
    BeginProducts();
    AddRows(result, p, shared.v, stage);
    CommitProducts();
    AwaitProducts<0>();
    Settle(result);
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
  if (threadIdx.x % 4 != 0) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t s = written + half * 8;
    if (s < length) a.log_sum_exp[(batch * a.heads + n) * a.length + s] = fmaf(__fmul_rn(scale, maximum[half]), kLogOf2, logf(sum[half]));
  }
#endif
}

template <int kSize>
Status LaunchWarpgroupForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  using Tile = WarpgroupForwardTile<kSize>;
  const dim3 grid{Blocks(a.length, Tile::kQueries), static_cast<unsigned>(a.heads), static_cast<unsigned>(batch)};
  return LaunchWide<WarpgroupForwardKernel<kSize>>(grid, Tile::kThreads, sizeof(Tile), context, a);
}

}  // namespace lema::cuda
