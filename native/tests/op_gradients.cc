#include "op_gradients.h"

#include <cmath>
#include <functional>
#include <map>

#include "core/text.h"
#include "core/thread_pool.h"
#include "kernels/number.h"
#include "op_specs.h"

namespace lema::test {
namespace {

OpCase InputsInDouble(Op op, const std::vector<int64_t>& sizes, const std::vector<double>& attributes) {
  std::vector<DType> dtypes;
  for (const OperandInfo& operand : kOps[static_cast<size_t>(op)].operands) {
    dtypes.push_back((operand.dtypes & 1u << static_cast<int>(DType::kI32)) != 0 ? DType::kI32 : DType::kF32);
  }
  OpCase made = MakeCase(op, sizes, {.dtypes = dtypes, .attributes = attributes});
  Specialize(made);
  return InDouble(made);
}

void Run(OpCase& made) {
  ThreadPool caller(1);
  if (const std::string problem = RunCase(made, kReferenceKernels, caller); !problem.empty()) std::printf("%s\n", problem.c_str());
}

// Weights that turn an output into a scalar loss.
double Weight(int64_t i) { return Uniform(99, static_cast<uint64_t>(i)); }

void Fill(const TensorView& view, const std::function<double(int64_t)>& value) {
  for (int64_t i = 0; i < view.elements(); ++i) Store(view, i, value(i));
}

void CopyOperand(OpCase& to, const char* name, OpCase& from, const char* source) {
  Fill(to.view(name), [&](int64_t i) { return Load(from.view(source), i); });
}

// Every element of `gradient` against (loss(x + h) − loss(x − h)) / 2h for the elements of `input`.
std::string Difference(const TensorView& input, const TensorView& gradient, const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < input.elements(); ++i) {
    const double value = Load(input, i);
    Store(input, i, value + kStep);
    const double above = loss();
    Store(input, i, value - kStep);
    const double below = loss();
    Store(input, i, value);
    const double expected = (above - below) / (2.0 * kStep);
    if (!(std::fabs(Load(gradient, i) - expected) <= 1e-7 * (1.0 + std::fabs(expected)))) {
      return Cat("element ", i, " is ", Load(gradient, i), ", finite difference ", expected);
    }
  }
  return "";
}

struct GradientSpec {
  Op forward;
  Op backward;
  std::vector<int64_t> forward_sizes, backward_sizes;
  std::vector<double> forward_attributes, backward_attributes;
  const char* output;                                   // of the forward; its gradient is the backward's first operand
  std::map<const char*, const char*> shared;            // backward operand → forward operand
  std::map<const char*, const char*> gradients;         // backward operand → forward input
};

void TestGradient(Report& report, const GradientSpec& spec) {
  OpCase forward = InputsInDouble(spec.forward, spec.forward_sizes, spec.forward_attributes);
  OpCase backward = InputsInDouble(spec.backward, spec.backward_sizes, spec.backward_attributes);
  Run(forward);
  for (const auto& [to, from] : spec.shared) CopyOperand(backward, to, forward, from);
  Fill(backward.call.operands[0], Weight);
  for (const auto& [gradient, input] : spec.gradients) Fill(backward.view(gradient), [](int64_t) { return 0.0; });
  Run(backward);
  const auto loss = [&] {
    Run(forward);
    double sum = 0.0;
    for (int64_t i = 0; i < forward.view(spec.output).elements(); ++i) sum += Weight(i) * Load(forward.view(spec.output), i);
    return sum;
  };
  for (const auto& [gradient, input] : spec.gradients) {
    report.Add(backward.info().name, Cat("finite differences of ", input),
               Difference(forward.view(input), backward.view(gradient), loss));
  }
}

// Head and loss: dx of cross_entropy_finish through cross_entropy_tile.
void TestCrossEntropy(Report& report) {
  const std::vector<double> attributes{0, 4, 64};
  OpCase tile = InputsInDouble(Op::kCrossEntropyTile, {2, 5, 6, 11}, attributes);
  OpCase finish = InputsInDouble(Op::kCrossEntropyFinish, {2, 5, 6}, {});
  for (int64_t i = 0; i < 10; ++i) {
    const int32_t label = i % 3 == 0 ? -100 : static_cast<int32_t>(i);
    tile.view("labels").as<int32_t>()[i] = label;
    finish.view("labels").as<int32_t>()[i] = label;
  }
  const auto loss = [&] {
    Fill(tile.view("maximum"), [](int64_t) { return -INFINITY; });
    for (const char* state : {"sum", "label_logit", "expected_row", "label_row"}) Fill(tile.view(state), [](int64_t) { return 0.0; });
    Run(tile);
    for (const char* state : {"maximum", "sum", "label_logit", "expected_row", "label_row"}) CopyOperand(finish, state, tile, state);
    Run(finish);
    double sum = 0.0;
    for (int64_t i = 0; i < 10; ++i) sum += Load(finish.view("losses"), i);
    return sum * Load(finish.view("inverse_tokens"), 0);
  };
  loss();
  OpCase gradient = InDouble(finish);
  report.Add("cross_entropy_finish", "finite differences of x", Difference(tile.view("x"), gradient.view("dx"), loss));
}

}  // namespace

void TestGradients(Report& report) {
  const std::vector<GradientSpec> specs = {
      {Op::kLinear, Op::kLinearGradInput, {2, 3, 5, 7}, {2, 3, 7, 5}, {0.5, 8, 8}, {0.5, 8, 8}, "y", {{"w", "w"}}, {{"dx", "x"}}},
      {Op::kLinear, Op::kLinearGradWeight, {2, 3, 5, 7}, {2, 3, 7, 5}, {0.5, 8, 8}, {0.5, 8, 8}, "y", {{"x", "x"}}, {{"dw", "w"}}},
      {Op::kRmsNorm, Op::kRmsNormBackward, {2, 3, 7}, {2, 3, 7}, {1e-5}, {1e-5}, "y", {{"x", "x"}, {"weight", "weight"}}, {{"dx", "x"}}},
      {Op::kSwiglu, Op::kSwigluBackward, {2, 3, 7}, {2, 3, 7}, {}, {}, "y", {{"gate", "gate"}, {"up", "up"}},
       {{"dgate", "gate"}, {"dup", "up"}}},
      {Op::kRope, Op::kRope, {2, 3, 2, 6, 3}, {2, 3, 2, 6, 3}, {1}, {-1}, "y", {{"cosine", "cosine"}, {"sine", "sine"}}, {{"y", "x"}}},
      {Op::kAttention, Op::kAttentionBackward, {2, 9, 4, 5, 2}, {2, 9, 4, 5, 2}, {0.5}, {0.5}, "o",
       {{"q", "q"}, {"k", "k"}, {"v", "v"}, {"o", "o"}, {"log_sum_exp", "log_sum_exp"}},
       {{"dq", "q"}, {"dk", "k"}, {"dv", "v"}}},
  };
  for (const GradientSpec& spec : specs) TestGradient(report, spec);
  TestCrossEntropy(report);
}

}  // namespace lema::test
