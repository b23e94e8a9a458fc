// The backward of attention on tensor cores (attention_tensor.h), in the two passes of attention_backward.h.
#pragma once

#include "cuda/attention_backward.h"
#include "cuda/attention_tensor.h"

namespace lema::cuda {

// p of a score, and its gradient. `scale_to_two`: the scale of scores in powers of two.
struct ScoreGradient {
  float p, ds;
};
__device__ __forceinline__ ScoreGradient GradientOf(bool seen, float scale, float scale_to_two, float score, float gradient, float log_sum_exp,
                                                    float delta) {
  const float p = seen ? exp2f(fmaf(scale_to_two, score, -kLog2E * log_sum_exp)) : 0.0f;
  return {p, scale * p * (gradient - delta)};
}

__device__ __forceinline__ float DotOfPairs(uint32_t left, uint32_t right, float sum) {
  return fmaf(UpperOf(left), UpperOf(right), fmaf(LowerOf(left), LowerOf(right), sum));
}

template <int kSize>
__global__ void __launch_bounds__(kTensorAttentionThreads, 2) TensorQueryGradientKernel(AttentionBackwardCall a) {
#if LEMA_TENSOR_CORES
  using Ring = KeyValueRing<kSize>;
  constexpr int kKeys = Ring::kKeys, kQueries = Ring::kQueries, kStages = Ring::kStages, kStage = Ring::kStage;
  auto& shared = Shared<Ring>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads;
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;  // the longest first
  const int lane = static_cast<int>(threadIdx.x) % kWarp, length = static_cast<int>(a.length);
  const int own = first + static_cast<int>(threadIdx.x) / kWarp * 16 + lane / 4;  // and the eighth query behind it
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), d = HeadOf(a.do_, batch, a.length, a.heads, n, a.size);
  const Head o = HeadOf(a.o, batch, a.length, a.heads, n, a.size), dq = HeadOf(a.dq, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  const int32_t* const starts = a.segment_start + batch * a.length;
  const int begin = EarliestKey<kQueries>(starts, first, length, a.fault) / kKeys * kKeys;
  const int end = first + kQueries < length ? first + kQueries : length;
  for (int stage = 0; stage < kStages - 1; ++stage) shared.Fetch(k, v, begin + stage * kKeys, end, length, stage);

  uint32_t query[kSize / 16][4], gradient[kSize / 16][4];
  float delta[2] = {};
#pragma unroll
  for (int i = 0; i < kSize / 16; ++i) {
    uint32_t output[4];
    LoadFragment(q, own, length, i * 16, query[i]);
    LoadFragment(d, own, length, i * 16, gradient[i]);
    LoadFragment(o, own, length, i * 16, output);
#pragma unroll
    for (int e = 0; e < 4; ++e) delta[e % 2] = DotOfPairs(gradient[i][e], output[e], delta[e % 2]);
  }
  int start[2], position[2];
  float log_sum_exp[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int s = own + half * 8;
    delta[half] = SumOfLanes<4>(delta[half]);
    log_sum_exp[half] = s < length ? a.log_sum_exp[(batch * a.heads + n) * a.length + s] : 0.0f;
    start[half] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : 0;
    position[half] = s < length ? s : -1;
  }
  const float scale_to_two = a.scale * kLog2E;
  float result[kSize / 8][4] = {};
  int stage = 0;
  for (int key = begin; key < end; key += kKeys) {
    AwaitCopies<kStages - 2>();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    shared.Fetch(k, v, key + (kStages - 1) * kKeys, end, length, Ring::Before(stage));
#pragma unroll 1
    for (int t = 0; t < kKeys; t += 16) {
      float scores[2][4] = {}, gradients[2][4] = {};
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t right[4];
        RightFragments<Along::kDepth, kSize>(shared.k, stage * kStage, t, i * 16, right);
        Multiply(scores[0], scores[1], query[i], right);
        RightFragments<Along::kDepth, kSize>(shared.v, stage * kStage, t, i * 16, right);
        Multiply(gradients[0], gradients[1], gradient[i], right);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int its = key + t + j * 8 + lane % 4 * 2 + e % 2, half = e / 2;
          scores[j][e] = GradientOf(its >= start[half] && its <= position[half], a.scale, scale_to_two, scores[j][e], gradients[j][e],
                                    log_sum_exp[half], delta[half]).ds;
        }
      }
      const SplitFragment ds(scores[0], scores[1]);
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t right[4];
        RightFragments<Along::kOuter, kSize>(shared.k, stage * kStage, i * 16, t, right);
        Multiply(result[i * 2], result[i * 2 + 1], ds, right);
      }
    }
    stage = Ring::Behind(stage);
  }
  AwaitCopies<0>();
  StoreSums<kSize>(dq, NotAhead(own), length, result, {1.0f, 1.0f});
#endif
}

// A block of 64 keys, a warp for 16 of them; 16 queries at a time, with their outputs and the gradients of those.
template <int kSize>
struct TensorKeyTile {
  static constexpr int kQueries = 16, kKeys = 64, kStages = 2, kStage = kQueries * kSize;
  SharedArray<uint16_t, kKeys * kSize> v;
  SharedArray<uint16_t, kStages * kStage> q, do_, o;
  // Of each query; behind the last a start that no key reaches.
  SharedArray<float, kQueries> delta, log_sum_exp;
  SharedArray<int, kQueries> start;
};

// The tiles of queries that see keys of a block, head by head: those of a segment that begins behind its keys are left out.
struct QueryTiles {
  int64_t head, heads;  // this one, and the one behind the group's last
  int query;

  __device__ __forceinline__ bool there() const { return head < heads; }
};

template <int kSize>
__global__ void __launch_bounds__(kTensorAttentionThreads, 2) TensorKeyGradientKernel(AttentionBackwardCall a) {
#if LEMA_TENSOR_CORES
  using Tile = TensorKeyTile<kSize>;
  constexpr int kKeys = Tile::kKeys, kQueries = Tile::kQueries, kStage = Tile::kStage;
  auto& shared = Shared<Tile>();
  const int64_t batch = blockIdx.z, group = blockIdx.y, heads_of_group = a.heads / a.groups;
  const int key = static_cast<int>(blockIdx.x) * kKeys, length = static_cast<int>(a.length);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, own = static_cast<int>(threadIdx.x) / kWarp * 16;
  const int32_t* const starts = a.segment_start + batch * a.length;
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  CopyRows<kKeys, kSize>(v, key, length, shared.v, 0);
  uint32_t keys[kSize / 16][4];
#pragma unroll
  for (int i = 0; i < kSize / 16; ++i) LoadFragment(k, key + own + lane / 4, length, i * 16, keys[i]);

  const auto seek = [&](QueryTiles tiles) {
    while (tiles.there()) {
      if (tiles.query >= length) {
        tiles = {tiles.head + 1, tiles.heads, key};
      } else if (EarliestKey<kQueries>(starts, tiles.query, length, a.fault) >= key + kKeys) {
        tiles.query += kQueries;
      } else {
        break;
      }
    }
    return tiles;
  };
  const auto fetch = [&](const QueryTiles& tiles, int stage) {
    if (tiles.there()) {
      CopyRows<kQueries, kSize>(HeadOf(a.q, batch, a.length, a.heads, tiles.head, a.size), tiles.query, length, shared.q, stage * kStage);
      CopyRows<kQueries, kSize>(HeadOf(a.do_, batch, a.length, a.heads, tiles.head, a.size), tiles.query, length, shared.do_, stage * kStage);
      CopyRows<kQueries, kSize>(HeadOf(a.o, batch, a.length, a.heads, tiles.head, a.size), tiles.query, length, shared.o, stage * kStage);
    }
    CommitCopies();
  };
  const float scale_to_two = a.scale * kLog2E;
  float dk[kSize / 8][4] = {}, dv[kSize / 8][4] = {};
  QueryTiles next = seek({group * heads_of_group, (group + 1) * heads_of_group, key});
  fetch(next, 0);
  for (int stage = 0; next.there(); stage ^= 1) {
    const int64_t n = next.head;
    const int query = next.query;
    next = seek({next.head, next.heads, query + kQueries});
    AwaitCopies<0>();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    fetch(next, stage ^ 1);
    // Σ do·o of each query, by 8 threads.
    const int row = static_cast<int>(threadIdx.x) / 8;
    float delta = 0.0f;
#pragma unroll
    for (int column = static_cast<int>(threadIdx.x) % 8 * 8; column < kSize; column += 64) {
      uint32_t left[4], right[4];
      GetEight(shared.do_, stage * kStage + Swizzled<kSize>(row, column), left);
      GetEight(shared.o, stage * kStage + Swizzled<kSize>(row, column), right);
#pragma unroll
      for (int e = 0; e < 4; ++e) delta = DotOfPairs(left[e], right[e], delta);
    }
    delta = SumOfLanes<8>(delta);
    if (threadIdx.x % 8 == 0) {
      const int s = query + row;
      shared.delta[row] = delta;
      shared.log_sum_exp[row] = s < length ? a.log_sum_exp[(batch * a.heads + n) * a.length + s] : 0.0f;
      shared.start[row] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : length;
    }
    // Transposed: a row a key, a column a query.
    float scores[2][4] = {}, gradients[2][4] = {};
    const bool seen = query + kQueries > key + own;  // by any of the queries, any of this warp's keys
    if (seen) {
#pragma unroll
      for (int i = 0; i < kSize / 16; ++i) {
        uint32_t left[4], right[4];
        RightFragments<Along::kDepth, kSize>(shared.q, stage * kStage, 0, i * 16, right);
        Multiply(scores[0], scores[1], keys[i], right);
        LeftFragment<Along::kDepth, kSize>(shared.v, 0, own, i * 16, left);
        RightFragments<Along::kDepth, kSize>(shared.do_, stage * kStage, 0, i * 16, right);
        Multiply(gradients[0], gradients[1], left, right);
      }
    }
    __syncthreads();  // what belongs to the queries is there
    if (!seen) continue;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int its = key + own + lane / 4 + e / 2 * 8, r = j * 8 + lane % 4 * 2 + e % 2;
        const ScoreGradient found = GradientOf(its >= shared.start[r] && its <= query + r, a.scale, scale_to_two, scores[j][e],
                                               gradients[j][e], shared.log_sum_exp[r], shared.delta[r]);
        scores[j][e] = found.p;
        gradients[j][e] = found.ds;
      }
    }
    const SplitFragment p(scores[0], scores[1]), ds(gradients[0], gradients[1]);
#pragma unroll
    for (int i = 0; i < kSize / 16; ++i) {
      uint32_t right[4];
      RightFragments<Along::kOuter, kSize>(shared.do_, stage * kStage, i * 16, 0, right);
      Multiply(dv[i * 2], dv[i * 2 + 1], p, right);
      RightFragments<Along::kOuter, kSize>(shared.q, stage * kStage, i * 16, 0, right);
      Multiply(dk[i * 2], dk[i * 2 + 1], ds, right);
    }
  }
  AwaitCopies<0>();
  const int64_t written = NotAhead(key + own + lane / 4);
  StoreSums<kSize>(HeadOf(a.dk, batch, a.length, a.groups, group, a.size), written, length, dk, {1.0f, 1.0f});
  StoreSums<kSize>(HeadOf(a.dv, batch, a.length, a.groups, group, a.size), written, length, dv, {1.0f, 1.0f});
#endif
}

template <int kSize>
Status LaunchTensorBackward(const AttentionBackwardCall& a, int64_t batch, const LaunchContext& context) {
  using Queries = KeyValueRing<kSize>;
  using Keys = TensorKeyTile<kSize>;
  const unsigned sequences = static_cast<unsigned>(batch);
  LEMA_RETURN_IF_ERROR(Launch(TensorQueryGradientKernel<kSize>, {Blocks(a.length, Queries::kQueries), static_cast<unsigned>(a.heads), sequences},
                              kTensorAttentionThreads, context, a));
  return Launch(TensorKeyGradientKernel<kSize>, {Blocks(a.length, Keys::kKeys), static_cast<unsigned>(a.groups), sequences},
                kTensorAttentionThreads, context, a);
}

}  // namespace lema::cuda
