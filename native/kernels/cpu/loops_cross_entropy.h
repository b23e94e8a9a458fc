// One vocabulary tile of the head for a run of supervised rows: logits, online softmax, and the expected row.
#pragma once

#include "kernels/cpu/loops_attention.h"

namespace lema::cpu::LEMA_ISA {

inline int64_t EvenColumns(int64_t vocabulary) { return RoundUp(vocabulary, 2); }

inline size_t CrossEntropyScratch(int64_t rows, int64_t vocabulary, int64_t depth, DType compute) {
  const int64_t logits = RoundUp(rows * vocabulary * 4, 64);
  const int64_t probabilities = InPairs(compute) ? RoundUp(rows * EvenColumns(vocabulary) * 2, 64) : 0;
  const size_t left = PackedBytes(rows, depth, compute);
  const size_t right = PackedBytes(rows, vocabulary, compute);
  return static_cast<size_t>(logits + probabilities) + (left < right ? right : left);
}

// e^(logit − maximum) of one row, in place or as bf16; returns their f32 sum.
template <typename Element>
inline float Probabilities(const float* logits, float maximum, Element* to, int64_t count) {
  F32 sum{};
  ForVectors(count, [&](int64_t i, int64_t lanes) {
    // Lanes past the end are −∞, whose exponential is 0.
    F32 logit = Load(logits + i, lanes);
    for (int lane = static_cast<int>(lanes); lane < kLanes; ++lane) logit[lane] = -kInfinity;
    const F32 p = Exp(logit - maximum);
    sum = sum + p;
    Store(to + i, p, lanes);
  });
  return SumLanes(sum);
}

inline float Highest(const float* values, int64_t count, float start) {
  F32 highest = Set(start);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) highest = Maximum(highest, Load(values + i, kLanes));
  float result = MaximumLanes(highest);
  for (; i < count; ++i) result = result < values[i] ? values[i] : result;
  return result;
}

inline void CrossEntropy(const CrossEntropyTask& task) {
  const DType compute = task.x.dtype;
  const int64_t even = EvenColumns(task.vocabulary);
  float* const logits = static_cast<float*>(task.scratch);
  char* const after = static_cast<char*>(task.scratch) + RoundUp(task.rows * task.vocabulary * 4, 64);
  Bf16* const halves = reinterpret_cast<Bf16*>(after);
  char* const row_scratch = InPairs(compute) ? after + RoundUp(task.rows * even * 2, 64) : after;
  Product(task.x, task.weight, task.rows, task.vocabulary, task.depth, compute,
          Tile32(logits, task.vocabulary, false, 1.0f), row_scratch);
  for (int64_t row = 0; row < task.rows; ++row) {
    float* const logit = logits + row * task.vocabulary;
    const int64_t hit = task.labels[row] - task.first_row;
    const bool met = hit >= 0 && hit < task.vocabulary;
    if (met) task.label_logit[row] = logit[hit];
    const float before = task.maximum[row];
    const float maximum = Highest(logit, task.vocabulary, before);
    const float rescale = Exp(Set(before - maximum))[0];
    task.maximum[row] = maximum;
    const float sum = InPairs(compute) ? Probabilities(logit, maximum, halves + row * even, task.vocabulary)
                                       : Probabilities(logit, maximum, logit, task.vocabulary);
    task.sum[row] = task.sum[row] * rescale + sum;
    if (task.values == nullptr) continue;
    if (InPairs(compute) && even != task.vocabulary) halves[row * even + task.vocabulary] = {0};
    float* const expected = task.expected_row + row * task.depth;
    if (rescale != 1.0f) {
      ForVectors(task.depth, [=](int64_t i, int64_t lanes) { Store(expected + i, Load(expected + i, lanes) * rescale, lanes); });
    }
    if (!met) continue;
    WithType(task.weight_rows, task.weight_dtype, [&](const auto* weight) {
      const auto* from = weight + hit * task.depth;
      float* const to = task.label_row + row * task.depth;
      ForVectors(task.depth, [=](int64_t i, int64_t lanes) {
        Store(to + i, reinterpret_cast<F32>(SingleWords(from + i, lanes, compute == DType::kBF16)), lanes);
      });
    });
  }
  if (task.values == nullptr) return;
  const Result expected = Tile32(task.expected_row, task.depth, true, 1.0f);
  if (InPairs(compute)) {
    // The padding of an odd vocabulary meets a zero in the packed values.
    Product({halves, DType::kBF16, even, 1}, task.values, task.rows, task.depth, even, compute, expected, row_scratch);
  } else {
    Product({logits, DType::kF32, task.vocabulary, 1}, task.values, task.rows, task.depth, task.vocabulary, compute,
            expected, row_scratch);
  }
}

}  // namespace lema::cpu::LEMA_ISA
