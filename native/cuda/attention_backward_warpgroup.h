// The backward of attention by warpgroups (attention_warpgroup.h), in the two passes of attention_backward.h. The pass over
// queries leaves Σ do·o of each in the workspace for the pass over keys. A block has one warpgroup, and two blocks of heads of
// 128 fit into a multiprocessor, none of which waits for the other.
#pragma once

#include "cuda/attention_backward_tensor.h"
#include "cuda/attention_warpgroup.h"

namespace lema::cuda {

template <int kSize>
struct WarpgroupQueryTile {
  OwnRows<kSize, 1> q, do_;
  PassingRows<kSize, 1, 2> k, v;
};

// `delta`: [B, N, S].
template <int kSize>
__global__ void __launch_bounds__(kWarpgroup) WarpgroupQueryGradientKernel(AttentionBackwardCall a, float* delta_of) {
#if LEMA_WARPGROUPS
  auto& shared = WideShared<WarpgroupQueryTile<kSize>>();
  const int64_t batch = blockIdx.z, n = blockIdx.y, group = n * a.groups / a.heads, line = (batch * a.heads + n) * a.length;
  const int length = static_cast<int>(a.length);
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kWarpgroupRows, own = first + OwnRowOfWarpgroup();  // the longest first
  const int32_t* const starts = a.segment_start + batch * a.length;
  const Head q = HeadOf(a.q, batch, a.length, a.heads, n, a.size), d = HeadOf(a.do_, batch, a.length, a.heads, n, a.size);
  const Head o = HeadOf(a.o, batch, a.length, a.heads, n, a.size), dq = HeadOf(a.dq, batch, a.length, a.heads, n, a.size);
  const Head k = HeadOf(a.k, batch, a.length, a.groups, group, a.size), v = HeadOf(a.v, batch, a.length, a.groups, group, a.size);
  const int begin = EarliestKey<kWarpgroupRows>(starts, first, length, a.fault) / kPassingRows * kPassingRows;
  const int end = first + kWarpgroupRows < length ? first + kWarpgroupRows : length;
  const auto fetch = [&](int key, int stage) {
    if (key < end) {
      shared.k.Copy(k, key, length, stage);
      shared.v.Copy(v, key, length, stage);
    }
    CommitCopies();
  };
  shared.q.Copy(q, first, length);
  shared.do_.Copy(d, first, length);
  fetch(begin, 0);

  float delta[2] = {};
#pragma unroll
  for (int i = 0; i < kSize / 16; ++i) {
    uint32_t gradient[4], output[4];
    LoadFragment(d, own, length, i * 16, gradient);
    LoadFragment(o, own, length, i * 16, output);
#pragma unroll
    for (int e = 0; e < 4; ++e) delta[e % 2] = DotOfPairs(gradient[e], output[e], delta[e % 2]);
  }
  int start[2], position[2];
  float log_sum_exp[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int s = own + half * 8;
    delta[half] = SumOfLanes<4>(delta[half]);
    if (threadIdx.x % 4 == 0 && s < length) delta_of[line + s] = delta[half];
    log_sum_exp[half] = s < length ? kLog2E * a.log_sum_exp[line + s] : 0.0f;
    start[half] = s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : 0;
    position[half] = s < length ? s : -1;
  }
  const float scale = a.scale * kLog2E;
  float result[kSize / 8][4] = {};
  int stage = 0;
  for (int key = begin; key < end; key += kPassingRows, stage ^= 1) {
    AwaitCopies<0>();
    ShowToProducts();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    fetch(key + kPassingRows, stage ^ 1);
    float scores[kPassingRows / 8][4] = {}, gradients[kPassingRows / 8][4] = {};
    Settle(scores);
    Settle(gradients);
    BeginProducts();
    AddDots(scores, shared.q, shared.k, stage);
    CommitProducts();
    AddDots(gradients, shared.do_, shared.v, stage);
    CommitProducts();
    AwaitProducts<1>();
    Settle(scores);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) scores[j][e] = PowerOfTwo(fmaf(scale, scores[j][e], -log_sum_exp[half]));
      }
      if (key >= start[half] && key + kPassingRows - 1 <= position[half]) continue;
#pragma unroll
      for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          const int its = key + ColumnOf(j, e);
          if (its < start[half] || its > position[half]) scores[j][e] = 0.0f;
        }
      }
    }
    AwaitProducts<0>();
    Settle(gradients);
#pragma unroll
    for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) scores[j][e] = __fmul_rn(scores[j][e], __fsub_rn(gradients[j][e], delta[e / 2]));
    }
    const RoundedFactors ds(scores);
    Settle(result);
    BeginProducts();
    AddRows(result, ds, shared.k, stage);
    CommitProducts();
    AwaitProducts<0>();
    Settle(result);
  }
  AwaitCopies<0>();
  StoreSums<kSize>(dq, NotAhead(own), length, result, {a.scale, a.scale});
#endif
}

template <int kSize>
struct WarpgroupKeyTile {
  static constexpr int kStages = 2;
  OwnRows<kSize, 1> k, v;
  PassingRows<kSize, 1, kStages> q, do_;
  // Of each query; behind the last a start that no key reaches.
  SharedArray<float, kStages * kPassingRows> delta, log_sum_exp;
  SharedArray<int, kStages * kPassingRows> start;
};

// A tile of queries of one of a group's heads.
struct PassingQueries {
  int64_t head, heads;  // this one, and the one behind the group's last
  int query;

  __device__ __forceinline__ bool there() const { return head < heads; }
};

// First keys that some queries see.
struct Starts {
  int earliest, latest;
};

template <int kSize>
__global__ void __launch_bounds__(kWarpgroup) WarpgroupKeyGradientKernel(AttentionBackwardCall a, const float* delta_of) {
#if LEMA_WARPGROUPS
  auto& shared = WideShared<WarpgroupKeyTile<kSize>>();
  const int64_t batch = blockIdx.z, group = blockIdx.y, heads_of_group = a.heads / a.groups;
  const int length = static_cast<int>(a.length), first = static_cast<int>(blockIdx.x) * kWarpgroupRows;  // the longest first
  const int own = first + OwnRowOfWarpgroup();
  const int32_t* const starts = a.segment_start + batch * a.length;
  shared.k.Copy(HeadOf(a.k, batch, a.length, a.groups, group, a.size), first, length);
  shared.v.Copy(HeadOf(a.v, batch, a.length, a.groups, group, a.size), first, length);

  const auto behind = [&](PassingQueries queries) {
    queries.query += kPassingRows;
    if (queries.query >= length) queries = {queries.head + 1, queries.heads, first};
    return queries;
  };
  // Of this lane's two queries of a tile; behind the last one a start that no key reaches.
  const auto own_starts = [&](const PassingQueries& queries) {
    Starts of{length, 0};
#pragma unroll
    for (int i = 0; i < kPassingRows / kWarp; ++i) {
      const int s = queries.query + static_cast<int>(threadIdx.x) % kWarp + i * kWarp;
      const int start = queries.there() && s < length ? static_cast<int>(SegmentStart(starts, s, a.fault)) : length;
      of = {start < of.earliest ? start : of.earliest, start > of.latest ? start : of.latest};
    }
    return of;
  };
  // Of all queries of a tile, `of` being those of each lane. A tile none of whose queries sees the block's keys is left for
  // one that does: segments may begin behind them.
  const auto seek = [&](PassingQueries& queries, Starts of) {
    while (queries.there() && SmallestOfWarp(of.earliest) >= first + kWarpgroupRows) {
      queries = behind(queries);
      of = own_starts(queries);
    }
    return LargestOfWarp(of.latest);
  };
  const auto fetch = [&](const PassingQueries& queries, int stage) {
    if (queries.there()) {
      shared.q.Copy(HeadOf(a.q, batch, a.length, a.heads, queries.head, a.size), queries.query, length, stage);
      shared.do_.Copy(HeadOf(a.do_, batch, a.length, a.heads, queries.head, a.size), queries.query, length, stage);
    }
    CommitCopies();
  };
  // What belongs to a query, by a thread each, on its way to a stage in registers.
  struct OfQuery {
    float delta, log_sum_exp;
    int start;
  };
  const int its_query = static_cast<int>(threadIdx.x);
  const auto load = [&](const PassingQueries& queries) {
    OfQuery of{0.0f, 0.0f, length};
    const int s = queries.query + its_query;
    if (queries.there() && its_query < kPassingRows && s < length) {
      const int64_t at = (batch * a.heads + queries.head) * a.length + s;
      of = {delta_of[at], kLog2E * a.log_sum_exp[at], static_cast<int>(SegmentStart(starts, s, a.fault))};
    }
    return of;
  };
  const auto store = [&](const OfQuery& of, int stage) {
    if (its_query >= kPassingRows) return;
    const int at = stage * kPassingRows + its_query;
    shared.delta[at] = of.delta;
    shared.log_sum_exp[at] = of.log_sum_exp;
    shared.start[at] = of.start;
  };

  const float scale = a.scale * kLog2E;
  float dk[kSize / 8][4] = {}, dv[kSize / 8][4] = {};
  PassingQueries now{group * heads_of_group, (group + 1) * heads_of_group, first};
  int latest = seek(now, own_starts(now));
  fetch(now, 0);
  store(load(now), 0);
  PassingQueries next = behind(now);
  int latest_of_next = seek(next, own_starts(next));
  PassingQueries after = behind(next);
  Starts of_after = own_starts(after);  // asked for a tile ahead, so that nobody waits for them
  for (int stage = 0; now.there(); stage ^= 1) {
    AwaitCopies<0>();
    ShowToProducts();
    __syncthreads();  // this tile is there for all, and all are done with the one before it
    fetch(next, stage ^ 1);
    const OfQuery of_next = load(next);
    const int query = now.query;
    // Transposed: a row a key, a column a query.
    float scores[kPassingRows / 8][4] = {}, gradients[kPassingRows / 8][4] = {};
    Settle(scores);
    Settle(gradients);
    BeginProducts();
    AddDots(scores, shared.k, shared.q, stage);
    CommitProducts();
    AddDots(gradients, shared.v, shared.do_, stage);
    CommitProducts();
    AwaitProducts<1>();
    Settle(scores);
#pragma unroll
    for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const float log_sum_exp = shared.log_sum_exp[stage * kPassingRows + ColumnOf(j, c)];
#pragma unroll
        for (int e = c; e < 4; e += 2) scores[j][e] = PowerOfTwo(fmaf(scale, scores[j][e], -log_sum_exp));
      }
    }
    if (latest > first || query < first + kWarpgroupRows - 1) {  // some query, some key does not see
#pragma unroll
      for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int start = shared.start[stage * kPassingRows + ColumnOf(j, c)], position = query + ColumnOf(j, c);
#pragma unroll
          for (int e = c; e < 4; e += 2) {
            const int its = own + e / 2 * 8;
            if (its < start || its > position) scores[j][e] = 0.0f;
          }
        }
      }
    }
    const RoundedFactors p(scores);
    AwaitProducts<0>();
    Settle(gradients);
    Settle(dv);
    BeginProducts();
    AddRows(dv, p, shared.do_, stage);
    CommitProducts();
#pragma unroll
    for (int j = 0; j < kPassingRows / 8; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const float delta = shared.delta[stage * kPassingRows + ColumnOf(j, c)];
#pragma unroll
        for (int e = c; e < 4; e += 2) gradients[j][e] = __fmul_rn(scores[j][e], __fsub_rn(gradients[j][e], delta));
      }
    }
    const RoundedFactors ds(gradients);
    Settle(dk);
    BeginProducts();
    AddRows(dk, ds, shared.q, stage);
    CommitProducts();
    AwaitProducts<0>();
    Settle(dv);
    Settle(dk);
    store(of_next, stage ^ 1);
    now = next, latest = latest_of_next;
    next = after;
    latest_of_next = seek(next, of_after);
    after = behind(next);
    of_after = own_starts(after);
  }
  AwaitCopies<0>();
  const int64_t written = NotAhead(own);
  StoreSums<kSize>(HeadOf(a.dk, batch, a.length, a.groups, group, a.size), written, length, dk, {a.scale, a.scale});
  StoreSums<kSize>(HeadOf(a.dv, batch, a.length, a.groups, group, a.size), written, length, dv, {1.0f, 1.0f});
#endif
}

template <int kSize>
Status LaunchWarpgroupBackward(const AttentionBackwardCall& a, int64_t batch, const LaunchContext& context) {
  const unsigned blocks = Blocks(a.length, kWarpgroupRows), heads = static_cast<unsigned>(a.heads), groups = static_cast<unsigned>(a.groups), sequences = static_cast<unsigned>(batch);
  float* const delta = reinterpret_cast<float*>(context.workspace);
  LEMA_RETURN_IF_ERROR(LaunchWide<WarpgroupQueryGradientKernel<kSize>>({blocks, heads, sequences}, kWarpgroup, sizeof(WarpgroupQueryTile<kSize>),
                                                                       context, a, delta));
  return LaunchWide<WarpgroupKeyGradientKernel<kSize>>({blocks, groups, sequences}, kWarpgroup, sizeof(WarpgroupKeyTile<kSize>), context, a,
                                                       static_cast<const float*>(delta));
}

}  // namespace lema::cuda
