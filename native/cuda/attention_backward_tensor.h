// The backward of attention on tensor cores (attention_tensor.h), in the two passes of attention_backward.h. The gradient
// of the output is bf16 here, so that it needs no second half.
#pragma once

#include "cuda/attention_backward.h"
#include "cuda/attention_tensor.h"

namespace lema::cuda {

// Σ do·o of a query; the four lanes of a quad call it together, and each gets it.
template <int kSize>
__device__ __forceinline__ float DeltaOf(const Head& d, const Head& o, int64_t s, int64_t length) {
  float sum = 0.0f;
  if (s < length) {
#pragma unroll
    for (int i = 0; i < kSize / 16; ++i) {
      const int64_t e = static_cast<int>(threadIdx.x) % 4 * 4 + i * 16;
      float left[4], right[4];
      LoadFour(d.elements, d.first + s * d.stride + e, 4, left);
      LoadFour(o.elements, o.first + s * o.stride + e, 4, right);
#pragma unroll
      for (int four = 0; four < 4; ++four) sum = fmaf(left[four], right[four], sum);
    }
  }
  return SumOfLanes<4>(sum);
}

// p of a score, and its gradient.
struct ScoreGradient {
  float p, ds;
};
__device__ __forceinline__ ScoreGradient GradientOf(bool seen, float scale, float score, float gradient, float log_sum_exp, float delta) {
  const float p = seen ? expf(__fmul_rn(scale, score) - log_sum_exp) : 0.0f;
  return {p, p > 0.0f ? scale * p * (gradient - delta) : 0.0f};
}

// A block of 64 queries, a warp for 16 of them; keys and values 32 at a time.
template <int kSize>
struct TensorQueryTile {
  static constexpr int kQueries = 64, kKeys = 32, kThreads = kQueries / 16 * kWarp;
  SplitRows<kKeys, kSize> k, v;
};

template <int kSize>
__global__ void __launch_bounds__(TensorQueryTile<kSize>::kThreads, 2) TensorQueryGradientKernel(AttentionBackwardCall a) {
#if LEMA_TENSOR_CORES
  using Tile = TensorQueryTile<kSize>;
  constexpr int kKeys = Tile::kKeys, kQueries = Tile::kQueries, kThreads = Tile::kThreads;
  auto& shared = Shared<Tile>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int64_t first = (static_cast<int64_t>(gridDim.x) - 1 - blockIdx.x) * kQueries;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, length = static_cast<int>(a.length);
  const int64_t own = first + static_cast<int>(threadIdx.x) / kWarp * 16 + lane / 4;  // and the eighth query behind it
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), d = HeadOf(a.do_, batch, a.length, a.heads, n, a.size);
  const Head o = HeadOf(a.o, batch, a.length, a.heads, n, a.size), dq = HeadOf(a.dq, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  const int32_t* const starts = a.segment_start + batch * a.length;
  SplitFragment query[kSize / 16];
  uint32_t gradient[kSize / 16][4];
#pragma unroll
  for (int i = 0; i < kSize / 16; ++i) {
    SplitFragment exact;
    query[i].Take(q, own, a.length, i * 16);
    exact.Take(d, own, a.length, i * 16);
#pragma unroll
    for (int e = 0; e < 4; ++e) gradient[i][e] = exact.high[e];
  }
  int start[2], position[2];
  float delta[2], log_sum_exp[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t s = own + half * 8;
    delta[half] = DeltaOf<kSize>(d, o, s, a.length);
    log_sum_exp[half] = s < a.length ? a.log_sum_exp[(batch * a.heads + n) * a.length + s] : 0.0f;
    start[half] = s < a.length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : 0;
    position[half] = s < a.length ? static_cast<int>(s) : -1;
  }
  int64_t begin = first;  // every thread finds the same
  for (int64_t s = first; s < first + kQueries && s < a.length; ++s) {
    const int64_t its = SegmentStart(starts, s, a.fault);
    begin = its < begin ? its : begin;
  }
  float result[kSize / 8][4] = {};
  for (int key = static_cast<int>(begin) / kKeys * kKeys; key < length && key < first + kQueries; key += kKeys) {
    __syncthreads();  // the tiles of the round before have been read
    shared.k.template Load<kThreads>(k, key, length);
    shared.v.template Load<kThreads>(v, key, length);
    __syncthreads();
#pragma unroll 1
    for (int t = 0; t < kKeys; t += 16) {
      float scores[2][4] = {}, gradients[2][4] = {};
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t high[4], low[4];
        RightFragments<Along::kDepth, kSize>(shared.k.high, 0, t, i * 16, high);
        RightFragments<Along::kDepth, kSize>(shared.k.low, 0, t, i * 16, low);
        MultiplySplit(scores[0], scores[1], query[i], high, low);
        RightFragments<Along::kDepth, kSize>(shared.v.high, 0, t, i * 16, high);
        RightFragments<Along::kDepth, kSize>(shared.v.low, 0, t, i * 16, low);
        MultiplySplit(gradients[0], gradients[1], gradient[i], high, low);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int its = key + t + j * 8 + lane % 4 * 2 + e % 2, half = e / 2;
          scores[j][e] = GradientOf(its >= start[half] && its <= position[half], a.scale, scores[j][e], gradients[j][e],
                                    log_sum_exp[half], delta[half]).ds;
        }
      }
      SplitFragment ds;
      ds.Take(scores[0], scores[1]);
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t high[4], low[4];
        RightFragments<Along::kOuter, kSize>(shared.k.high, 0, i * 16, t, high);
        RightFragments<Along::kOuter, kSize>(shared.k.low, 0, i * 16, t, low);
        MultiplySplit(result[i * 2], result[i * 2 + 1], ds, high, low);
      }
    }
  }
  StoreSums<kSize>(dq, NotAhead(own), a.length, result, 1.0f, 1.0f);
#endif
}

// A block of 32 keys, a warp for 16 of them; queries and their gradients 16 at a time.
template <int kSize>
struct TensorKeyTile {
  static constexpr int kQueries = 16, kKeys = 32, kThreads = kKeys / 16 * kWarp;
  SplitRows<kKeys, kSize> k, v;
  SplitRows<kQueries, kSize> q;
  SharedArray<uint16_t, kQueries * kSize> do_;
  SharedArray<float, kQueries> delta, log_sum_exp;
  SharedArray<int, kQueries> start;
};

template <int kSize>
__global__ void __launch_bounds__(TensorKeyTile<kSize>::kThreads, 4) TensorKeyGradientKernel(AttentionBackwardCall a) {
#if LEMA_TENSOR_CORES
  using Tile = TensorKeyTile<kSize>;
  constexpr int kKeys = Tile::kKeys, kQueries = Tile::kQueries, kThreads = Tile::kThreads;
  auto& shared = Shared<Tile>();
  const int64_t batch = blockIdx.z, group = blockIdx.y;
  const int key = static_cast<int>(blockIdx.x) * kKeys, length = static_cast<int>(a.length);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, own = static_cast<int>(threadIdx.x) / kWarp * 16;
  const int32_t* const starts = a.segment_start + batch * a.length;
  const int64_t heads_of_group = a.heads / a.groups;
  shared.k.template Load<kThreads>(HeadOf(a.k, batch, a.length, a.groups, group, a.size), key, length);
  shared.v.template Load<kThreads>(HeadOf(a.v, batch, a.length, a.groups, group, a.size), key, length);
  float dk[kSize / 8][4] = {}, dv[kSize / 8][4] = {};
  for (int64_t n = group * heads_of_group; n < (group + 1) * heads_of_group; ++n) {
    const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), d = HeadOf(a.do_, batch, a.length, a.heads, n, a.size);
    const Head o = HeadOf(a.o, batch, a.length, a.heads, n, a.size);
    for (int query = key; query < length; query += kQueries) {
      int least = length;  // first key that any of these queries sees; every thread finds the same
      for (int s = query; s < query + kQueries && s < length; ++s) {
        const int its = static_cast<int>(SegmentStart(starts, s, a.fault));
        least = its < least ? its : least;
      }
      if (least >= key + kKeys) continue;
      __syncthreads();  // the queries of the round before have been read
      shared.q.template Load<kThreads>(q, query, length);
      LoadBf16<kQueries, kSize, kThreads>(d, query, length, shared.do_);
      {
        const int r = static_cast<int>(threadIdx.x) / 4, s = query + r;
        const float delta = DeltaOf<kSize>(d, o, s, a.length);
        if (threadIdx.x % 4 == 0) {
          shared.delta[r] = delta;
          shared.log_sum_exp[r] = s < length ? a.log_sum_exp[(batch * a.heads + n) * a.length + s] : 0.0f;
          // Behind the last query: a start that no key reaches.
          shared.start[r] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : length;
        }
      }
      __syncthreads();
      // Transposed: a row a key, a column a query.
      float scores[2][4] = {}, gradients[2][4] = {};
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        SplitFragment left;
        uint32_t high[4], low[4];
        LeftFragment<Along::kDepth, kSize>(shared.k.high, 0, own, i * 16, left.high);
        LeftFragment<Along::kDepth, kSize>(shared.k.low, 0, own, i * 16, left.low);
        RightFragments<Along::kDepth, kSize>(shared.q.high, 0, 0, i * 16, high);
        RightFragments<Along::kDepth, kSize>(shared.q.low, 0, 0, i * 16, low);
        MultiplySplit(scores[0], scores[1], left, high, low);
        LeftFragment<Along::kDepth, kSize>(shared.v.high, 0, own, i * 16, left.high);
        LeftFragment<Along::kDepth, kSize>(shared.v.low, 0, own, i * 16, left.low);
        RightFragments<Along::kDepth, kSize>(shared.do_, 0, 0, i * 16, high);
        MultiplySplit(gradients[0], gradients[1], left, high);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int its = key + own + lane / 4 + e / 2 * 8, r = j * 8 + lane % 4 * 2 + e % 2;
          const ScoreGradient found = GradientOf(its >= shared.start[r] && its <= query + r, a.scale, scores[j][e], gradients[j][e],
                                                 shared.log_sum_exp[r], shared.delta[r]);
          scores[j][e] = found.p;
          gradients[j][e] = found.ds;
        }
      }
      SplitFragment p, ds;
      p.Take(scores[0], scores[1]);
      ds.Take(gradients[0], gradients[1]);
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t high[4], low[4];
        RightFragments<Along::kOuter, kSize>(shared.do_, 0, i * 16, 0, high);
        MultiplySplit(dv[i * 2], dv[i * 2 + 1], p, high);
        RightFragments<Along::kOuter, kSize>(shared.q.high, 0, i * 16, 0, high);
        RightFragments<Along::kOuter, kSize>(shared.q.low, 0, i * 16, 0, low);
        MultiplySplit(dk[i * 2], dk[i * 2 + 1], ds, high, low);
      }
    }
  }
  const int64_t written = NotAhead(key + own + lane / 4);
  StoreSums<kSize>(HeadOf(a.dk, batch, a.length, a.groups, group, a.size), written, a.length, dk, 1.0f, 1.0f);
  StoreSums<kSize>(HeadOf(a.dv, batch, a.length, a.groups, group, a.size), written, a.length, dv, 1.0f, 1.0f);
#endif
}

template <int kSize>
Status LaunchTensorBackward(const AttentionBackwardCall& a, int64_t batch, const LaunchContext& context) {
  using Queries = TensorQueryTile<kSize>;
  using Keys = TensorKeyTile<kSize>;
  const unsigned sequences = static_cast<unsigned>(batch);
  LEMA_RETURN_IF_ERROR(Launch(TensorQueryGradientKernel<kSize>,
                              {Blocks(a.length, Queries::kQueries), static_cast<unsigned>(a.heads), sequences}, Queries::kThreads, context, a));
  return Launch(TensorKeyGradientKernel<kSize>, {Blocks(a.length, Keys::kKeys), static_cast<unsigned>(a.groups), sequences},
                Keys::kThreads, context, a);
}

}  // namespace lema::cuda
