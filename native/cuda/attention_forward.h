// o = softmax(scale · q·kᵀ) · v with online softmax (Dao 2023, FlashAttention-2, algorithm 1), over whole sequences and
// over a cache: one kernel, so that a step of generation gives the bits of the whole. This is the one of f32
// multiply-adds, for every device.
#pragma once

#include "cuda/attention.h"

namespace lema::cuda {

struct AttentionForward {
  Elements q, k, v, o;
  const int32_t* segment_start;  // [B, S]; null over a cache
  const int32_t* kv_length;      // [B]; null over whole sequences
  const int32_t* new_tokens;
  float* log_sum_exp;  // [B, N, S]; null over a cache
  int64_t length;      // rows of q and o
  int64_t capacity;    // rows of k and v
  int64_t heads, groups, size;
  float scale;
  DeviceFault* fault;
};

// Queries of a sequence that count, and keys before the first of them.
struct Step {
  int64_t past, count;
};

__device__ __forceinline__ Step StepOf(const AttentionForward& a, int64_t batch) {
  if (a.kv_length == nullptr) return {0, a.length};
  const int64_t past = a.kv_length[batch], count = a.new_tokens[batch];
  if (past >= 0 && count >= 1 && count <= a.length && past + count <= a.capacity) return {past, count};
  if (threadIdx.x == 0) Report(a.fault, StatusCode::kOutOfRange, batch, static_cast<int32_t>(past + count));
  return {0, 0};
}

// Keys [start, position] of a query; none where it does not count.
__device__ __forceinline__ void KeysOf(const AttentionForward& a, int64_t batch, const Step& step, int64_t s, int64_t* start,
                                       int64_t* position) {
  *position = s < step.count ? step.past + s : -1;
  *start = s < step.count && a.segment_start != nullptr ? SegmentStart(a.segment_start + batch * a.length, s, a.fault) : 0;
}

// The keys of a block of queries; every thread finds the same.
struct KeyRange {
  int64_t begin, last;
};
__device__ __forceinline__ KeyRange KeysOfBlock(const AttentionForward& a, int64_t batch, const Step& step, int64_t first, int queries) {
  const int64_t last = first + queries < step.count ? step.past + first + queries - 1 : step.past + step.count - 1;
  int64_t begin = first < step.count && a.segment_start != nullptr ? last : 0;
  for (int64_t s = first; a.segment_start != nullptr && s < first + queries && s < step.count; ++s) {
    const int64_t its = SegmentStart(a.segment_start + batch * a.length, s, a.fault);
    begin = its < begin ? its : begin;
  }
  return {begin, last};
}

template <int kSize, int kQueries, int kKeys>
struct ForwardTile {
  SharedArray<float, kQueries*(kSize + 4)> q;
  SharedArray<float, kKeys*(kSize + 4)> rows;  // of k, then of v
  SharedArray<float, kQueries*(kKeys + 4)> p;
};

template <int kSize, int kQueries, int kKeys>
__global__ void __launch_bounds__(kAttentionThreads) AttentionForwardKernel(AttentionForward a) {
  constexpr int kRows = kQueries / kAttentionGroups, kOwnKeys = kKeys / kAttentionLanes;
  auto& shared = Shared<ForwardTile<kSize, kQueries, kKeys>>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int64_t first = (static_cast<int64_t>(gridDim.x) - 1 - blockIdx.x) * kQueries;  // the longest first
  const int lane = static_cast<int>(threadIdx.x) % kAttentionLanes, own = static_cast<int>(threadIdx.x) / kAttentionLanes * kRows;
  const Step step = StepOf(a, batch);
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.capacity, a.groups, group, a.size), v = HeadOf(a.v, batch, a.capacity, a.groups, group, a.size);

  int64_t start[kRows], position[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) KeysOf(a, batch, step, first + own + r, &start[r], &position[r]);
  const KeyRange range = KeysOfBlock(a, batch, step, first, kQueries);

  float maximum[kRows], sum[kRows];
  Columns<kSize> result[kRows] = {};
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    maximum[r] = -INFINITY;
    sum[r] = 0.0f;
  }
  LoadRows<kQueries, kSize>(q, first, step.count, a.size, shared.q);
  const int64_t keys = step.past + step.count;
  for (int64_t key = range.begin / kKeys * kKeys; first < step.count && key <= range.last; key += kKeys) {
    __syncthreads();  // the tile of the round before has been read
    LoadRows<kKeys, kSize>(k, key, keys, a.size, shared.rows);
    __syncthreads();
    float scores[kRows][kOwnKeys];
    Dots<kRows, kOwnKeys, kSize>(shared.q, own, shared.rows, lane, scores);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float largest = maximum[r];
#pragma unroll
      for (int j = 0; j < kOwnKeys; ++j) {
        const int64_t t = key + lane + j * kAttentionLanes;
        scores[r][j] = t >= start[r] && t <= position[r] ? __fmul_rn(a.scale, scores[r][j]) : -INFINITY;
        largest = scores[r][j] > largest ? scores[r][j] : largest;
      }
      largest = MaximumOfLanes<kAttentionLanes>(largest);
      const bool any = largest > -INFINITY;
      const float factor = any ? expf(maximum[r] - largest) : 1.0f;
      float added = 0.0f;
#pragma unroll
      for (int j = 0; j < kOwnKeys; ++j) {
        const float p = any ? expf(scores[r][j] - largest) : 0.0f;
        shared.p[(own + r) * (kKeys + 4) + lane + j * kAttentionLanes] = p;
        added += p;
      }
      sum[r] = fmaf(sum[r], factor, SumOfLanes<kAttentionLanes>(added));
      maximum[r] = largest;
      result[r].Scale(factor);
    }
    __syncthreads();
    LoadRows<kKeys, kSize>(v, key, keys, a.size, shared.rows);
    __syncthreads();
    for (int t = 0; t < kKeys; ++t) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) result[r].Add(shared.p[(own + r) * (kKeys + 4) + t], shared.rows, t);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t s = first + own + r;
    if (s >= a.length) continue;
    result[r].Store(o, s, a.size, sum[r] > 0.0f ? 1.0f / sum[r] : 0.0f);
    if (a.log_sum_exp != nullptr && lane == 0) a.log_sum_exp[(batch * a.heads + n) * a.length + s] = maximum[r] + logf(sum[r]);
  }
}

template <int kSize, int kQueries, int kKeys>
Status LaunchForward(const AttentionForward& a, int64_t batch, const LaunchContext& context) {
  const dim3 grid{Blocks(a.length, kQueries), static_cast<unsigned>(a.heads), static_cast<unsigned>(batch)};
  return Launch(AttentionForwardKernel<kSize, kQueries, kKeys>, grid, kAttentionThreads, context, a);
}

}  // namespace lema::cuda
