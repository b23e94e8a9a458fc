// Causal attention of one head and its gradient, in blocks that stay in the second cache, all in f32.
//
// Blocks are aligned to multiples of kBlock positions, so that what a row sees is added in the same order in every call.
#pragma once

#include "kernels/cpu/loops_pack.h"

namespace lema::cpu::LEMA_ISA {

inline constexpr int64_t kBlock = 64;
inline constexpr float kInfinity = __builtin_inff();

inline int64_t RoundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Hands out parts of a scratch range, each on its own cache lines.
class Scratch {
 public:
  explicit Scratch(void* data) : next_(static_cast<char*>(data)) {}
  float* Floats(int64_t count) {
    float* taken = reinterpret_cast<float*>(next_);
    next_ += RoundUp(count * 4, 64);
    return taken;
  }

 private:
  char* next_;
};

// Rows [first, first + count) of a head as f32, padded with zeros to `width`.
inline void CopyRows(const HeadRows& head, int64_t first, int64_t count, int64_t size, int64_t width, float* to) {
  WithType(head.data, head.dtype, [&](const auto* from) {
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t lanes = Min(kLanes, size - i);
        Store(to + row * width + i, lanes > 0 ? Load(from + (first + row) * head.stride + i, lanes) : F32{}, kLanes);
      }
    }
  });
}

inline const void* RowsFrom(const HeadRows& head, int64_t row) {
  return static_cast<const char*>(head.data) + row * head.stride * static_cast<int64_t>(SizeOf(head.dtype));
}

inline void WriteRow(const float* from, float factor, const HeadRows& head, int64_t row, int64_t size) {
  WithResultType(head.data, head.dtype, [=](auto* to) {
    ForVectors(size, [=](int64_t i, int64_t lanes) { Store(to + row * head.stride + i, Load(from + i, lanes) * factor, lanes); });
  });
}

inline const uint32_t* AsWords(const float* data) { return reinterpret_cast<const uint32_t*>(data); }

inline Result Tile32(float* data, int64_t stride, bool accumulate, float alpha) {
  return {data, DType::kF32, stride, accumulate, alpha};
}

// The earliest key that any of these queries sees.
inline int64_t EarliestKey(const int32_t* segment_start, int64_t first, int64_t count) {
  int64_t earliest = first;
  for (int64_t i = first; i < first + count; ++i) earliest = Min(earliest, segment_start[i]);
  return earliest;
}

inline int64_t LatestStart(const int32_t* segment_start, int64_t first, int64_t count) {
  int64_t latest = 0;
  for (int64_t i = first; i < first + count; ++i) latest = Max(latest, segment_start[i]);
  return latest;
}

inline size_t AttentionScratch(int64_t length, int64_t size) {
  const int64_t block = RoundUp(Min(kBlock, length), kLanes);
  const int64_t width = RoundUp(size, kLanes);
  return static_cast<size_t>(4 * (block * (3 * width + block) + 4 * block) + 8 * 64);
}

// One pass over a block of scores, [keys][queries]: the softmax state of `lanes` queries advances and the scores become
// probabilities relative to the new maximum. Returns the factor of what was summed before.
inline F32 AdvanceSoftmax(float* scores, int64_t stride, int64_t keys, F32* maximum, F32* sum) {
  F32 highest = *maximum;
  for (int64_t t = 0; t < keys; ++t) highest = Maximum(highest, Load(scores + t * stride, kLanes));
  // Nothing seen yet: any finite reference keeps −∞ − reference away from NaN.
  const F32 reference = Select(highest == -kInfinity, F32{}, highest);
  F32 total{};
  for (int64_t t = 0; t < keys; ++t) {
    const F32 p = Exp(Load(scores + t * stride, kLanes) - reference);
    Store(scores + t * stride, p, kLanes);
    total = total + p;
  }
  const F32 rescale = Exp(*maximum - reference);
  *maximum = highest;
  *sum = *sum * rescale + total;
  return rescale;
}

// scores[key][query] = −∞ where the query does not see the key.
inline void MaskScores(float* scores, int64_t stride, const AttentionTask& task, int64_t first_key, int64_t keys) {
  for (int64_t q = 0; q < task.queries; q += kLanes) {
    const I32 position = static_cast<int32_t>(task.past + task.first_query + q) + Iota();
    I32 start{};
    if (task.segment_start != nullptr) {
      start = LoadBits<I32>(task.segment_start + task.first_query + q, task.queries - q);
    }
    for (int64_t t = 0; t < keys; ++t) {
      const I32 key = I32{} + static_cast<int32_t>(first_key + t);
      float* const at = scores + t * stride + q;
      Store(at, Select((key > position) | (key < start), Set(-kInfinity), Load(at, kLanes)), kLanes);
    }
  }
}

inline void Attention(const AttentionTask& task, void* scratch_data) {
  const int64_t width = RoundUp(task.size, kLanes);
  const int64_t lanes = RoundUp(task.queries, kLanes);
  const int64_t block = RoundUp(Min(kBlock, task.length), kLanes);
  Scratch scratch(scratch_data);
  float* const queries = scratch.Floats(lanes * task.size);  // packed, [size][lanes]
  float* const scores = scratch.Floats(block * lanes);       // [keys][lanes]
  float* const values = scratch.Floats(block * width);       // [keys][width]
  float* const sums = scratch.Floats(lanes * width);         // [queries][width]
  float* const maximum = scratch.Floats(lanes);
  float* const total = scratch.Floats(lanes);
  float* const rescale = scratch.Floats(lanes);

  PackColumns({RowsFrom(task.q, task.first_query), task.q.dtype, task.q.stride, 1}, task.queries, task.size, DType::kF32, queries);
  for (int64_t i = 0; i < lanes; i += kLanes) {
    Store(maximum + i, Set(-kInfinity), kLanes);
    Store(total + i, F32{}, kLanes);
  }
  std::memset(sums, 0, static_cast<size_t>(lanes * width) * sizeof(float));

  const int64_t first_position = task.past + task.first_query;
  const int64_t end = first_position + task.queries;
  int64_t latest_start = 0, begin = 0;
  if (task.segment_start != nullptr) {
    latest_start = LatestStart(task.segment_start, task.first_query, task.queries);
    begin = EarliestKey(task.segment_start, task.first_query, task.queries) / kBlock * kBlock;
  }
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t keys = Min(kBlock, end - first);
    LeftWords k{static_cast<const uint32_t*>(RowsFrom(task.k, first)), task.k.stride, 1};
    if (task.k.dtype != DType::kF32) {
      // Where the values will be.
      CopyRows(task.k, first, keys, task.size, width, values);
      k = {AsWords(values), width, 1};
    }
    Multiply(k, keys, AsWords(queries), kPanel * task.size, kPanel, task.size, lanes, false,
             Tile32(scores, lanes, false, task.scale), 0);
    if (first + keys > first_position || latest_start > first) MaskScores(scores, lanes, task, first, keys);
    bool moved = false;
    for (int64_t i = 0; i < lanes; i += kLanes) {
      F32 highest = Load(maximum + i, kLanes);
      F32 sum = Load(total + i, kLanes);
      const F32 factor = AdvanceSoftmax(scores + i, lanes, keys, &highest, &sum);
      Store(maximum + i, highest, kLanes);
      Store(total + i, sum, kLanes);
      Store(rescale + i, factor, kLanes);
      for (int lane = 0; lane < kLanes; ++lane) moved |= factor[lane] != 1.0f;
    }
    for (int64_t row = 0; moved && row < task.queries; ++row) {
      float* const sum = sums + row * width;
      for (int64_t i = 0; i < width; i += kLanes) Store(sum + i, Load(sum + i, kLanes) * rescale[row], kLanes);
    }
    CopyRows(task.v, first, keys, task.size, width, values);
    Multiply({AsWords(scores), 1, lanes}, task.queries, AsWords(values), kPanel, width, keys, width, false,
             Tile32(sums, width, true, 1.0f), 0);
  }
  for (int64_t row = 0; row < task.queries; ++row) {
    WriteRow(sums + row * width, 1.0f / total[row], task.o, task.first_query + row, task.size);
    if (task.log_sum_exp == nullptr) continue;
    task.log_sum_exp[task.first_query + row] = maximum[row] + __builtin_logf(total[row]);
  }
}

}  // namespace lema::cpu::LEMA_ISA
