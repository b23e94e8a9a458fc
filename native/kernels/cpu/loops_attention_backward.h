// Gradient of attention for the heads that share one key and value head: each head's key blocks in order, for each its
// query blocks in order. dq, dk and dv are summed in the task's own scratch: five products, nothing atomic.
#pragma once

#include "kernels/cpu/loops_attention.h"

namespace lema::cpu::LEMA_ISA {

inline size_t AttentionBackwardScratch(int64_t length, int64_t size) {
  const int64_t block = RoundUp(Min(kBlock, length), kLanes);
  const int64_t width = RoundUp(size, kLanes);
  return static_cast<size_t>(4 * (3 * length * width + length + block * (5 * width + 2 * kBlock)) + 12 * 64);
}

struct BackwardTiles {
  int64_t width;    // of a row of q, k, v, do
  float *dq, *dk, *dv, *delta;     // [length][width] and [length]
  float *keys, *packed_keys, *packed_values;  // [keys][width]; the others [size][keys]
  float *queries, *gradients;      // [queries][width]
  float *p, *ds;                   // [queries][kBlock]
};

// p = exp(score − lse) where the query sees the key, else 0; ds = scale · p · (dp − delta).
inline void ProbabilitiesAndScores(const AttentionBackwardTask& task, const float* lse, const BackwardTiles& tiles,
                                   int64_t first_query, int64_t queries, int64_t first_key, int64_t keys) {
  for (int64_t row = 0; row < queries; ++row) {
    const int64_t position = first_query + row;
    const int32_t from = static_cast<int32_t>(task.segment_start[position] - first_key);
    const int32_t to = static_cast<int32_t>(position - first_key);
    float* const p = tiles.p + row * kBlock;
    float* const ds = tiles.ds + row * kBlock;
    for (int64_t i = 0; i < keys; i += kLanes) {
      const I32 key = static_cast<int32_t>(i) + Iota();
      const F32 value = Select((key < from) | (key > to), F32{}, Exp(Load(p + i, kLanes) - lse[position]));
      Store(p + i, value, kLanes);
      Store(ds + i, task.scale * value * (Load(ds + i, kLanes) - tiles.delta[position]), kLanes);
    }
  }
}

inline void BackwardBlock(const AttentionBackwardTask& task, const HeadRows& q, const HeadRows& d_o, const float* lse,
                          const BackwardTiles& tiles, int64_t first_query, int64_t first_key, int64_t keys) {
  const int64_t width = tiles.width;
  const int64_t queries = Min(kBlock, task.length - first_query);
  const int64_t columns = RoundUp(keys, kLanes);
  CopyRows(q, first_query, queries, task.size, width, tiles.queries);
  CopyRows(d_o, first_query, queries, task.size, width, tiles.gradients);
  Multiply({AsWords(tiles.queries), width, 1}, queries, AsWords(tiles.packed_keys), kPanel * task.size, kPanel,
           task.size, columns, false, Tile32(tiles.p, kBlock, false, task.scale), 0);
  Multiply({AsWords(tiles.gradients), width, 1}, queries, AsWords(tiles.packed_values), kPanel * task.size, kPanel,
           task.size, columns, false, Tile32(tiles.ds, kBlock, false, 1.0f), 0);
  ProbabilitiesAndScores(task, lse, tiles, first_query, queries, first_key, keys);
  const LeftWords transposed_p{AsWords(tiles.p), 1, kBlock};
  const LeftWords transposed_ds{AsWords(tiles.ds), 1, kBlock};
  Multiply(transposed_p, keys, AsWords(tiles.gradients), kPanel, width, queries, width, false,
           Tile32(tiles.dv + first_key * width, width, true, 1.0f), 0);
  Multiply(transposed_ds, keys, AsWords(tiles.queries), kPanel, width, queries, width, false,
           Tile32(tiles.dk + first_key * width, width, true, 1.0f), 0);
  Multiply({AsWords(tiles.ds), kBlock, 1}, queries, AsWords(tiles.keys), kPanel, width, keys, width, false,
           Tile32(tiles.dq + first_query * width, width, true, 1.0f), 0);
}

// `head` elements further on.
inline HeadRows Head(const HeadRows& rows, int64_t head, int64_t size) {
  char* const data = static_cast<char*>(rows.data) + head * size * static_cast<int64_t>(SizeOf(rows.dtype));
  return {data, rows.dtype, rows.stride};
}

// delta = rowsum(do ∘ o)
inline void Deltas(const HeadRows& d_o, const HeadRows& o, int64_t length, int64_t size, float* delta) {
  WithType(d_o.data, d_o.dtype, [&](const auto* gradient) {
    WithType(o.data, o.dtype, [&](const auto* output) {
      for (int64_t row = 0; row < length; ++row) {
        F32 sum{};
        ForVectors(size, [&](int64_t i, int64_t lanes) {
          sum = Fma(Load(gradient + row * d_o.stride + i, lanes), Load(output + row * o.stride + i, lanes), sum);
        });
        delta[row] = SumLanes(sum);
      }
    });
  });
}

inline void AttentionBackward(const AttentionBackwardTask& task, void* scratch_data) {
  const int64_t width = RoundUp(task.size, kLanes);
  const int64_t block = RoundUp(Min(kBlock, task.length), kLanes);
  const int64_t all = task.length * width;
  Scratch scratch(scratch_data);
  BackwardTiles tiles{.width = width,
                      .dq = scratch.Floats(all),
                      .dk = scratch.Floats(all),
                      .dv = scratch.Floats(all),
                      .delta = scratch.Floats(task.length),
                      .keys = scratch.Floats(block * width),
                      .packed_keys = scratch.Floats(block * width),
                      .packed_values = scratch.Floats(block * width),
                      .queries = scratch.Floats(block * width),
                      .gradients = scratch.Floats(block * width),
                      .p = scratch.Floats(block * kBlock),
                      .ds = scratch.Floats(block * kBlock)};
  const size_t bytes = static_cast<size_t>(all) * sizeof(float);
  std::memset(tiles.dk, 0, bytes);
  std::memset(tiles.dv, 0, bytes);
  for (int64_t n = 0; n < task.heads; ++n) {
    const HeadRows q = Head(task.q, n, task.size);
    const HeadRows d_o = Head(task.d_o, n, task.size);
    const HeadRows dq = Head(task.dq, n, task.size);
    Deltas(d_o, Head(task.o, n, task.size), task.length, task.size, tiles.delta);
    std::memset(tiles.dq, 0, bytes);
    for (int64_t first_key = 0; first_key < task.length; first_key += kBlock) {
      const int64_t keys = Min(kBlock, task.length - first_key);
      const auto packed = [&](const HeadRows& rows, float* to) {
        PackColumns({RowsFrom(rows, first_key), rows.dtype, rows.stride, 1}, keys, task.size, DType::kF32, to);
      };
      packed(task.k, tiles.packed_keys);
      packed(task.v, tiles.packed_values);
      CopyRows(task.k, first_key, keys, task.size, width, tiles.keys);
      for (int64_t first_query = first_key; first_query < task.length; first_query += kBlock) {
        const int64_t queries = Min(kBlock, task.length - first_query);
        if (EarliestKey(task.segment_start, first_query, queries) >= first_key + keys) continue;
        BackwardBlock(task, q, d_o, task.log_sum_exp + n * task.length, tiles, first_query, first_key, keys);
      }
    }
    for (int64_t row = 0; row < task.length; ++row) WriteRow(tiles.dq + row * width, 1.0f, dq, row, task.size);
  }
  for (int64_t row = 0; row < task.length; ++row) {
    WriteRow(tiles.dk + row * width, 1.0f, task.dk, row, task.size);
    WriteRow(tiles.dv + row * width, 1.0f, task.dv, row, task.size);
  }
}

}  // namespace lema::cpu::LEMA_ISA
