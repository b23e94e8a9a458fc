#include "op_specs.h"

#include <cmath>

#include "core/thread_pool.h"
#include "kernels/number.h"

namespace lema::test {
namespace {

void EachInteger(OpCase& made, const char* operand, int64_t low, int64_t high) {
  const TensorView& view = made.view(operand);
  for (int64_t i = 0; i < view.elements(); ++i) {
    const double unit = (Uniform(77, static_cast<uint64_t>(i)) + 1.0) / 2.0;
    view.as<int32_t>()[i] = static_cast<int32_t>(low + static_cast<int64_t>(unit * static_cast<double>(high - low)));
  }
}

// Segments of uneven length; the first sequence is one segment.
void Segments(OpCase& made) {
  const TensorView& view = made.view("segment_start");
  const int64_t length = view.dim[1];
  for (int64_t i = 0; i < view.elements(); ++i) {
    const int64_t s = i % length;
    const int64_t segment = 5 + 31 * (i / length % 3);
    view.as<int32_t>()[i] = static_cast<int32_t>(i < length ? 0 : s / segment * segment);
  }
}

void Labels(OpCase& made, int64_t vocabulary) {
  EachInteger(made, "labels", 0, vocabulary);
  const TensorView& labels = made.view("labels");
  for (int64_t i = 0; i < labels.elements(); ++i) {
    if (Uniform(5, static_cast<uint64_t>(i)) > 0.5) labels.as<int32_t>()[i] = -100;
  }
}

// A step somewhere in the cache, of some of its rows: lengths differ from sequence to sequence.
void StepLengths(OpCase& made, int64_t rows, int64_t capacity) {
  const TensorView& past = made.view("kv_length");
  const TensorView& count = made.view("new_tokens");
  for (int64_t b = 0; b < count.elements(); ++b) {
    count.as<int32_t>()[b] = static_cast<int32_t>(b == 0 ? rows : 1 + rows * b / 4 % rows);
    past.as<int32_t>()[b] = static_cast<int32_t>((capacity - rows) * (3 - b % 4) / 3);
  }
}

// o and log_sum_exp as the forward call leaves them.
void ForwardOfAttention(OpCase& made) {
  OpCase forward = MakeCase(Op::kAttention, {made.sizes[0], made.sizes[1], made.sizes[2], made.sizes[3], made.sizes[4]},
                            {.dtypes = {DType::kF32, DType::kF32, DType::kF32, DType::kI32, made.view("o").dtype,
                                        DType::kF32},
                             .attributes = {made.call.attributes[0]}});
  for (const char* operand : {"q", "k", "v", "segment_start", "o", "log_sum_exp"}) forward.view(operand) = made.view(operand);
  ThreadPool caller(1);
  KernelContext context{caller, {}};
  (void)kReferenceKernels[static_cast<size_t>(Op::kAttention)].launch(forward.call, nullptr, context).ok();
}

// Positive where the mathematics asks for it.
void MakePositive(OpCase& made, const char* operand, double least) {
  const TensorView& view = made.view(operand);
  for (int64_t i = 0; i < view.elements(); ++i) Store(view, i, std::fabs(Load(view, i)) + least);
}

}  // namespace

const std::vector<OpSpec>& Specs() {
  const double half = 0.5;
  // A factor rounded to f16 is off by at most u = 2^-11 of itself, so that Σ l·r is off by at most 2u Σ |l·r|. Roundings are
  // independent: of products of deviation d, of which an output sums K, the errors sum up to less than 2u d √K, and the
  // outputs to d √K each. Of the largest output that is 2u, and 4u where the largest of many errors meets a largest output
  // that is no more than twice the deviation.
  const double f16 = std::ldexp(4.0, -11);
  // One factor rounded to bf16: by the same argument twice 2^-9.
  const double bf16_factors = std::ldexp(2.0, -9);
  static const std::vector<OpSpec> specs = {
      {Op::kAdamw, {{7}, {1}, {33}, {40000}}, {{0.9, 0.999, 1e-8}}, 0.0, 0.0},
      {Op::kAdd, {{7}, {1}, {33}, {40000}}, {{}}, 1e-7, 0.0},
      // B, S, N, D, G
      {Op::kAttention,
       {{2, 7, 2, 8, 1}, {1, 1, 1, 4, 1}, {3, 33, 4, 16, 2}, {2, 65, 6, 20, 3}, {2, 127, 2, 64, 2}, {2, 200, 3, 33, 1},
        {1, 130, 2, 128, 1}, {2, 97, 4, 64, 2}, {1, 260, 2, 128, 2}},
       {{half}, {-half}}, 1e-5, 1e-5, 0, bf16_factors},
      {Op::kAttentionBackward,
       {{2, 7, 2, 8, 1}, {1, 1, 1, 4, 1}, {3, 33, 4, 16, 2}, {2, 65, 6, 20, 3}, {2, 127, 2, 64, 2}, {2, 200, 3, 33, 1},
        {1, 130, 2, 128, 1}, {2, 97, 4, 64, 2}, {1, 260, 2, 128, 2}},
       {{half}}, 2e-5, 2e-5, 0, bf16_factors},
      // B, S, N, D, C, G
      {Op::kAttentionCached,
       {{2, 3, 2, 8, 7, 1}, {1, 1, 1, 4, 1, 1}, {3, 5, 4, 16, 33, 2}, {2, 1, 6, 20, 130, 3}, {2, 70, 2, 64, 200, 2},
        {4, 127, 2, 33, 127, 1}, {2, 33, 4, 128, 70, 2}},
       {{half}}, 1e-5, 1e-5},
      // B, S, G, D, C
      {Op::kCacheAppend, {{2, 3, 2, 8, 7}, {1, 1, 1, 4, 1}, {4, 33, 3, 20, 200}}, {{}}, 0.0, 0.0},
      {Op::kConvert, {{7}, {1}, {33}, {40000}}, {{}}, 1e-7, 1e-7},
      {Op::kCrossEntropyFinish, {{3, 7, 13}, {1, 1, 1}, {2, 33, 65}}, {{}}, 1e-6, 1e-6},
      // B, S, H, V; first_row, vocabulary_tile, row_tile, f16_factors where 1
      {Op::kCrossEntropyTile,
       {{2, 7, 13, 11}, {1, 1, 1, 1}, {3, 33, 64, 127}, {2, 130, 65, 200}, {2, 33, 33, 65}},
       {{0, 64, 64}, {128, 32, 512}, {13, 13, 7}, {0, 64, 64, 1}}, 1e-5, 1e-2,
       // The error of a logit is a relative one of its probability, and a logit here may be some 8.
       8 * f16},
      {Op::kEmbedding, {{2, 7, 9, 13}, {1, 1, 1, 1}, {3, 33, 50, 200}}, {{}}, 0.0, 0.0},
      {Op::kFill, {{7}, {1}, {40000}}, {{1.5}, {-INFINITY}}, 0.0, 0.0},
      {Op::kGradNorm, {{1}, {7}}, {{0.5}, {100.0}, {0.0}}, 0.0, 0.0},
      // B, S, H
      {Op::kLastRow, {{2, 7, 13}, {1, 1, 1}, {4, 33, 200}}, {{}}, 0.0, 0.0},
      // B, S, K, N; alpha, row_tile, column_tile, f16_factors where 1
      {Op::kLinear,
       {{2, 7, 13, 5}, {1, 1, 1, 1}, {3, 33, 65, 127}, {2, 65, 8, 200}, {2, 127, 200, 16}, {1, 200, 64, 33},
        {3, 13, 7, 1100}, {1, 1, 200, 130}, {2, 1, 33, 70}, {1, 3, 65, 16}, {2, 2, 1100, 127},
        {2, 300, 1, 1}},
       {{1.0, 512, 512}, {0.25, 16, 48}, {0.25, 512, 512, 1}}, 1e-5, 1e-5, f16},
      // B, S, N, K
      {Op::kLinearGradInput,
       {{2, 7, 13, 5}, {1, 1, 1, 1}, {3, 33, 65, 127}, {2, 65, 8, 200}, {2, 127, 200, 16}, {1, 200, 64, 33},
        {3, 13, 7, 1100}, {2, 300, 1, 1}},
       {{1.0, 512, 512}, {0.25, 16, 48}, {0.25, 512, 512, 1}}, 1e-5, 1e-5, f16},
      {Op::kLinearGradWeight,
       {{2, 7, 13, 5}, {1, 1, 1, 1}, {3, 33, 65, 127}, {2, 65, 8, 200}, {2, 127, 200, 16}, {1, 200, 64, 33},
        {3, 13, 7, 1100}, {2, 1, 300, 300}},
       {{1.0, 512, 512}, {0.25, 16, 48}, {0.25, 512, 512, 1}}, 1e-5, 1e-5, f16},
      {Op::kReduceLoss, {{3, 7}, {1, 1}, {2, 200}}, {{}}, 0.0, 0.0},
      // On a device the width says how many fours of a row a thread holds: those of 1024, 2048, 4096, 8192, or not of all.
      {Op::kRmsNorm,
       {{2, 7, 13}, {1, 1, 1}, {3, 33, 200}, {1, 5, 1024}, {1, 3, 1027}, {1, 4, 2048}, {1, 2, 3000}, {1, 2, 4095}, {1, 2, 8192},
        {1, 2, 9001}, {1, 2, 12288}},
       {{1e-5}}, 1e-6, 1e-6},
      {Op::kRmsNormBackward,
       {{2, 7, 13}, {1, 1, 3}, {3, 33, 200}, {1, 5, 1024}, {1, 3, 1027}, {1, 4, 2048}, {1, 2, 3000}, {1, 2, 4095}, {1, 2, 8192},
        {1, 2, 9001}, {1, 2, 12288}},
       {{1e-5}}, 2e-6, 2e-6},
      // B, S, N, D, P with D = 2·P
      {Op::kRope, {{2, 7, 3, 6, 3}, {1, 1, 1, 2, 1}, {3, 33, 2, 66, 33}, {1, 65, 4, 64, 32}, {1, 2, 9, 250, 125}}, {{1}, {-1}}, 1e-6, 1e-6},
      {Op::kRopeTable, {{2, 7, 3}, {1, 1, 1}, {1, 200, 33}}, {{}}, 1e-7, 1e-7},
      {Op::kSquareSum, {{7}, {1}, {4096}, {40001}}, {{}}, 1e-14, 1e-14},
      {Op::kSwiglu, {{2, 7, 13}, {1, 1, 1}, {3, 33, 200}}, {{}}, 1e-6, 1e-6},
      {Op::kSwigluBackward, {{2, 7, 13}, {1, 1, 1}, {3, 33, 200}}, {{}}, 1e-6, 1e-6},
  };
  return specs;
}

void Specialize(OpCase& made) {
  switch (made.op) {
    case Op::kAdamw:
      MakePositive(made, "second_moment", 0.0);
      MakePositive(made, "bias_correction", 0.1);
      *made.view("skip").as<int32_t>() = 0;
      break;
    case Op::kAttention: Segments(made); break;
    case Op::kAttentionBackward:
      Segments(made);
      ForwardOfAttention(made);
      break;
    case Op::kAttentionCached: StepLengths(made, made.sizes[1], made.sizes[4]); break;
    case Op::kCacheAppend: StepLengths(made, made.sizes[1], made.sizes[4]); break;
    case Op::kLastRow:
      for (int64_t b = 0; b < made.sizes[0]; ++b) {
        made.view("new_tokens").as<int32_t>()[b] = static_cast<int32_t>(1 + (made.sizes[1] - 1) * b / made.sizes[0]);
      }
      break;
    case Op::kCrossEntropyFinish:
      Labels(made, 50);
      MakePositive(made, "sum", 1.0);
      break;
    case Op::kCrossEntropyTile:
      Labels(made, static_cast<int64_t>(made.call.attributes[0]) + made.sizes[3] + 9);
      MakePositive(made, "sum", 0.0);
      // Half of the rows have met nothing yet.
      for (int64_t i = 0; i < made.view("maximum").elements(); i += 2) {
        made.view("maximum").as<float>()[i] = -INFINITY;
        made.view("sum").as<float>()[i] = 0.0f;
      }
      break;
    case Op::kEmbedding: EachInteger(made, "tokens", 0, made.view("table").dim[0]); break;
    case Op::kRopeTable: EachInteger(made, "positions", 0, 8192); break;
    case Op::kGradNorm: MakePositive(made, "squares", 0.0); break;
    default: break;
  }
}

}  // namespace lema::test
