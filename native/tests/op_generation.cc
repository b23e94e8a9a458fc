#include "op_generation.h"

#include <cstring>

#include "core/text.h"
#include "core/thread_pool.h"
#include "op_case.h"
#include "op_tested.h"

namespace lema::test {
namespace {

constexpr DType kF32 = DType::kF32, kI32 = DType::kI32;
constexpr int64_t kLength = 150, kHeads = 4, kSize = 20, kGroups = 2, kCapacity = 192;

void SetStep(OpCase& step, int64_t past, int64_t count) {
  *step.view("kv_length").as<int32_t>() = static_cast<int32_t>(past);
  *step.view("new_tokens").as<int32_t>() = static_cast<int32_t>(count);
}

// Rows [first, first + count) of one sequence to the front of another tensor.
void TakeRows(const TensorView& from, int64_t first, int64_t count, const TensorView& to) {
  const size_t row = static_cast<size_t>(from.dim[2] * from.dim[3]) * sizeof(float);
  std::memcpy(to.data, from.as<std::byte>() + static_cast<size_t>(first) * row, static_cast<size_t>(count) * row);
}

// Steps of at most `rows` positions; what the cache holds behind them is noise.
std::string InSteps(OpCase& whole, int64_t rows, TaskRunner& runner) {
  OpCase keys = MakeCase(Op::kCacheAppend, {1, rows, kGroups, kSize, kCapacity},
                         {.dtypes = {kF32, kI32, kI32, kF32}, .attributes = {}});
  OpCase values = keys;
  values.Bind();
  OpCase attention = MakeCase(Op::kAttentionCached, {1, rows, kHeads, kSize, kCapacity, kGroups},
                              {.dtypes = {kF32, kF32, kF32, kI32, kI32, kF32}, .attributes = {whole.call.attributes[0]}});
  attention.view("k").data = keys.view("cache").data;
  attention.view("v").data = values.view("cache").data;
  const size_t row_bytes = kHeads * kSize * sizeof(float);
  for (int64_t past = 0; past < kLength; past += rows) {
    const int64_t count = std::min(rows, kLength - past);
    for (OpCase* step : {&keys, &values, &attention}) SetStep(*step, past, count);
    TakeRows(whole.view("k"), past, count, keys.view("rows"));
    TakeRows(whole.view("v"), past, count, values.view("rows"));
    TakeRows(whole.view("q"), past, count, attention.view("q"));
    for (OpCase* step : {&keys, &values, &attention}) {
      if (std::string problem = RunCase(*step, TestedKernels(), runner); !problem.empty()) return problem;
    }
    const std::byte* const expected = whole.view("o").as<std::byte>() + static_cast<size_t>(past) * row_bytes;
    if (std::memcmp(attention.view("o").data, expected, static_cast<size_t>(count) * row_bytes) != 0) {
      return Cat("other bits in the step behind ", past);
    }
  }
  SetStep(attention, kCapacity, 1);
  return RunCase(attention, TestedKernels(), runner).empty() ? "a step behind a full cache is not refused" : "";
}

// Rows [first, first + count) of a product alone.
std::string RowsAlone(OpCase& whole, int64_t first, int64_t count, int64_t depth, int64_t columns, TaskRunner& runner) {
  const DType x = whole.view("x").dtype, w = whole.view("w").dtype, y = whole.view("y").dtype;
  OpCase part = MakeCase(Op::kLinear, {1, count, depth, columns}, {.dtypes = {x, w, y}, .attributes = {0.5, 512, 512}});
  const size_t left = static_cast<size_t>(depth) * SizeOf(x), row = static_cast<size_t>(columns) * SizeOf(y);
  std::memcpy(part.view("x").data, whole.view("x").as<std::byte>() + static_cast<size_t>(first) * left,
              static_cast<size_t>(count) * left);
  part.view("w").data = whole.view("w").data;
  if (std::string problem = RunCase(part, TestedKernels(), runner); !problem.empty()) return problem;
  const std::byte* const expected = whole.view("y").as<std::byte>() + static_cast<size_t>(first) * row;
  if (std::memcmp(part.view("y").data, expected, static_cast<size_t>(count) * row) != 0) {
    return Cat("other bits in ", count, " rows alone");
  }
  return "";
}

void TestFewRows(Report& report) {
  constexpr int64_t kRows = 21;
  ThreadPool one(1), three(3);
  for (const DType x : {DType::kF32, DType::kBF16}) {
    for (const DType w : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const auto& [depth, columns] : {std::pair<int64_t, int64_t>{129, 70}, {512, 200}, {7, 33}}) {
        OpCase whole = MakeCase(Op::kLinear, {1, kRows, depth, columns},
                                {.dtypes = {x, w, kF32}, .attributes = {0.5, 512, 512}});
        std::string problem = RunCase(whole, TestedKernels(), one);
        for (int64_t count = 1; count <= 5 && problem.empty(); ++count) {
          problem = RowsAlone(whole, kRows - count, count, depth, columns, three);
        }
        report.Add("linear", Cat("bits of few rows, ", columns, " × ", depth), problem);
      }
    }
  }
}

}  // namespace

void TestGeneration(Report& report) {
  TestFewRows(report);
  OpCase whole = MakeCase(Op::kAttention, {1, kLength, kHeads, kSize, kGroups},
                          {.dtypes = {kF32, kF32, kF32, kI32, kF32, kF32}, .attributes = {0.25}});
  std::memset(whole.view("segment_start").data, 0, whole.view("segment_start").bytes());
  ThreadPool one(1), three(3);
  const std::string problem = RunCase(whole, TestedKernels(), one);
  for (const int64_t rows : {1, 7, 64, 100, 150}) {
    report.Add("attention_cached", Cat("bits of attention in steps of ", rows),
               problem.empty() ? InSteps(whole, rows, three) : problem);
  }
}

}  // namespace lema::test
