// p = exp(scale·q·k − lse); ds = p·(do·v − do·o); dq = scale·Σ ds·k, dk = scale·Σ ds·q, dv = Σ p·do. Two passes over the
// same scores: one with a block for some queries, one with a block for some keys, so that no sum is shared by blocks. These
// are the kernels of f32 multiply-adds, for every device.
#pragma once

#include "cuda/attention.h"

namespace lema::cuda {

struct AttentionBackwardCall {
  Elements do_, q, k, v, o, dq, dk, dv;
  const float* log_sum_exp;  // [B, N, S]
  const int32_t* segment_start;
  int64_t length, heads, groups, size;
  float scale;
  DeviceFault* fault;
};

template <int kSize, int kTile>
struct BackwardTile {
  SharedArray<float, kTile*(kSize + 4)> q, do_, k, v;
  SharedArray<float, kTile*(kTile + 4)> p, ds;  // [query][key]
  SharedArray<float, kTile> delta, log_sum_exp;
  SharedArray<int, kTile> start;
};

// Rows of queries with what belongs to each: Σ do·o, the log-sum-exp and the segment's start.
template <int kSize, int kTile>
__device__ __forceinline__ void LoadQueries(const AttentionBackwardCall& a, int64_t batch, int64_t n, int64_t first, BackwardTile<kSize, kTile>& shared) {
  constexpr int kRows = kTile / kAttentionGroups;
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), d = HeadOf(a.do_, batch, a.length, a.heads, n, a.size);
  const Head o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
  LoadRows<kTile, kSize>(q, first, a.length, a.size, shared.q);
  LoadRows<kTile, kSize>(d, first, a.length, a.size, shared.do_);
  const int lane = static_cast<int>(threadIdx.x) % kAttentionLanes, own = static_cast<int>(threadIdx.x) / kAttentionLanes * kRows;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t s = first + own + r;
    float sum = 0.0f;
    if (s < a.length) {
      for (int64_t e = lane; e < a.size; e += kAttentionLanes) {
        sum = fmaf(d.elements[d.first + s * d.stride + e], o.elements[o.first + s * o.stride + e], sum);
      }
    }
    sum = SumOfLanes<kAttentionLanes>(sum);
    if (lane != 0) continue;
    shared.delta[own + r] = sum;
    shared.log_sum_exp[own + r] = s < a.length ? a.log_sum_exp[(batch * a.heads + n) * a.length + s] : 0.0f;
    // Behind the last query: a start that no key reaches.
    shared.start[own + r] = static_cast<int>(s < a.length ? SegmentStart(a.segment_start + batch * a.length, s, a.fault) : a.length);
  }
}

// p and ds of the tiles at hand into shared memory.
template <int kSize, int kTile>
__device__ __forceinline__ void Scores(const AttentionBackwardCall& a, int64_t query, int64_t key, BackwardTile<kSize, kTile>& shared) {
  constexpr int kRows = kTile / kAttentionGroups, kOwnKeys = kTile >= kAttentionLanes ? kTile / kAttentionLanes : 1;
  const int lane = static_cast<int>(threadIdx.x) % kAttentionLanes, own = static_cast<int>(threadIdx.x) / kAttentionLanes * kRows;
  if (lane >= kTile) return;
  float scores[kRows][kOwnKeys], gradients[kRows][kOwnKeys];
  Dots<kRows, kOwnKeys, kSize>(shared.q, own, shared.k, lane, scores);
  Dots<kRows, kOwnKeys, kSize>(shared.do_, own, shared.v, lane, gradients);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t s = query + own + r, start = shared.start[own + r];
    const float lse = shared.log_sum_exp[own + r], delta = shared.delta[own + r];
#pragma unroll
    for (int j = 0; j < kOwnKeys; ++j) {
      const int64_t t = key + lane + j * kAttentionLanes;
      const float p = t >= start && t <= s ? expf(__fmul_rn(a.scale, scores[r][j]) - lse) : 0.0f;
      const int at = (own + r) * (kTile + 4) + lane + j * kAttentionLanes;
      shared.p[at] = p;
      shared.ds[at] = p > 0.0f ? a.scale * p * (gradients[r][j] - delta) : 0.0f;
    }
  }
}

template <int kSize, int kTile>
__global__ void __launch_bounds__(kAttentionThreads) QueryGradientKernel(AttentionBackwardCall a) {
  constexpr int kRows = kTile / kAttentionGroups;
  auto& shared = Shared<BackwardTile<kSize, kTile>>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int64_t first = (static_cast<int64_t>(gridDim.x) - 1 - blockIdx.x) * kTile;
  const int own = static_cast<int>(threadIdx.x) / kAttentionLanes * kRows;
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  LoadQueries(a, batch, n, first, shared);
  __syncthreads();
  int begin = shared.start[0];
  for (int r = 1; r < kTile; ++r) begin = shared.start[r] < begin ? static_cast<int>(shared.start[r]) : begin;
  Columns<kSize> result[kRows] = {};
  for (int64_t key = begin / kTile * kTile; key <= first + kTile - 1 && key < a.length; key += kTile) {
    LoadRows<kTile, kSize>(k, key, a.length, a.size, shared.k);
    LoadRows<kTile, kSize>(v, key, a.length, a.size, shared.v);
    __syncthreads();
    Scores(a, first, key, shared);
    __syncthreads();
    for (int t = 0; t < kTile; ++t) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) result[r].Add(shared.ds[(own + r) * (kTile + 4) + t], shared.k, t);
    }
    __syncthreads();
  }
  const Head dq = HeadOf(a.dq, batch, a.length, a.heads, n, a.size);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (first + own + r < a.length) result[r].Store(dq, first + own + r, a.size, 1.0f);
  }
}

// The heads of a group one after the other, the queries of each in order.
template <int kSize, int kTile>
__global__ void __launch_bounds__(kAttentionThreads) KeyGradientKernel(AttentionBackwardCall a) {
  constexpr int kRows = kTile / kAttentionGroups;
  auto& shared = Shared<BackwardTile<kSize, kTile>>();
  const int64_t batch = blockIdx.z, group = blockIdx.y, key = static_cast<int64_t>(blockIdx.x) * kTile;
  const int own = static_cast<int>(threadIdx.x) / kAttentionLanes * kRows;
  const int64_t heads_of_group = a.heads / a.groups;
  LoadRows<kTile, kSize>(HeadOf(a.k, batch, a.length, a.groups, group, a.size), key, a.length, a.size, shared.k);
  LoadRows<kTile, kSize>(HeadOf(a.v, batch, a.length, a.groups, group, a.size), key, a.length, a.size, shared.v);
  Columns<kSize> dk[kRows] = {}, dv[kRows] = {};
  for (int64_t n = group * heads_of_group; n < (group + 1) * heads_of_group; ++n) {
    for (int64_t query = key; query < a.length; query += kTile) {
      LoadQueries(a, batch, n, query, shared);
      __syncthreads();
      Scores(a, query, key, shared);
      __syncthreads();
      for (int s = 0; s < kTile; ++s) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          dk[r].Add(shared.ds[s * (kTile + 4) + own + r], shared.q, s);
          dv[r].Add(shared.p[s * (kTile + 4) + own + r], shared.do_, s);
        }
      }
      __syncthreads();
    }
  }
  const Head to_k = HeadOf(a.dk, batch, a.length, a.groups, group, a.size), to_v = HeadOf(a.dv, batch, a.length, a.groups, group, a.size);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (key + own + r >= a.length) continue;
    dk[r].Store(to_k, key + own + r, a.size, 1.0f);
    dv[r].Store(to_v, key + own + r, a.size, 1.0f);
  }
}

template <int kSize, int kTile>
Status LaunchBackward(const AttentionBackwardCall& a, int64_t batch, const LaunchContext& context) {
  const unsigned tiles = Blocks(a.length, kTile), sequences = static_cast<unsigned>(batch);
  LEMA_RETURN_IF_ERROR(Launch(QueryGradientKernel<kSize, kTile>, {tiles, static_cast<unsigned>(a.heads), sequences}, kAttentionThreads,
                              context, a));
  return Launch(KeyGradientKernel<kSize, kTile>, {tiles, static_cast<unsigned>(a.groups), sequences}, kAttentionThreads, context, a);
}

}  // namespace lema::cuda
