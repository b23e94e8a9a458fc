// Every op of the table: the tested kernel (op_tested.h) against the reference over odd sizes, every dtype and both ways of writing; the
// same bits for any thread count, address, batch split and on every run; every gradient against finite differences.
// Prints a line a case and a closing count; fails when an op has no spec.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

#include "core/text.h"
#include "core/thread_pool.h"
#include "kernels/number.h"
#include "op_generation.h"
#include "op_gradients.h"
#include "op_report.h"
#include "op_specs.h"
#include "op_tested.h"

namespace lema::test {
namespace {

bool Written(const OpCase& made, size_t operand) {
  return made.call.operands[operand].present() && made.info().operands[operand].access != Access::kRead;
}

// The largest difference of an output, relative to its largest value; a bf16 output may be off by one rounding.
std::string Compare(const OpCase& actual, const OpCase& expected, double tolerance) {
  for (size_t i = 0; i < actual.memory.size(); ++i) {
    if (!Written(actual, i)) continue;
    const TensorView& a = actual.call.operands[i];
    const TensorView& e = expected.call.operands[i];
    if (a.dtype == DType::kI32) {
      if (std::memcmp(a.data, e.data, a.bytes()) != 0) return Cat(actual.info().operands[i].name, " differs");
      continue;
    }
    double largest = 0.0;
    for (int64_t k = 0; k < e.elements(); ++k) {
      if (std::isfinite(Load(e, k))) largest = std::max(largest, std::fabs(Load(e, k)));
    }
    for (int64_t k = 0; k < e.elements(); ++k) {
      const double x = Load(a, k), y = Load(e, k);
      const double rounding = a.dtype == DType::kBF16 ? std::ldexp(std::fabs(y), -7) : 0.0;
      if (x == y || std::fabs(x - y) <= tolerance * largest + rounding) continue;
      return Cat(actual.info().operands[i].name, "[", k, "] is ", x, ", not ", y);
    }
  }
  return "";
}

std::string SameBits(const OpCase& actual, const OpCase& expected) {
  for (size_t i = 0; i < actual.memory.size(); ++i) {
    const TensorView& a = actual.call.operands[i];
    if (!Written(actual, i) || std::memcmp(a.data, expected.call.operands[i].data, a.bytes()) == 0) continue;
    return Cat(actual.info().operands[i].name, " has other bits");
  }
  return "";
}

OpCase Copy(const OpCase& from, size_t misalignment = 0) {
  OpCase copy = from;
  copy.Bind(misalignment);
  return copy;
}

// One sequence at a time, in order, carrying what belongs to no sequence from one to the next.
std::string SplitBatch(const OpCase& start, const OpCase& whole, TaskRunner& runner) {
  OpCase joined = Copy(start);
  for (int64_t b = 0; b < start.sizes[0]; ++b) {
    OpCase one = OneSequence(joined, b);
    if (std::string problem = RunCase(one, TestedKernels(), runner); !problem.empty()) return problem;
    for (size_t i = 0; i < one.memory.size(); ++i) {
      if (!Written(one, i)) continue;
      const size_t bytes = one.call.operands[i].bytes();
      const size_t at = HasBatch(start, i) ? static_cast<size_t>(b) * bytes : 0;
      std::memcpy(joined.call.operands[i].as<std::byte>() + at, one.call.operands[i].data, bytes);
    }
  }
  return SameBits(joined, whole);
}

// The first operand is one of a batch, and what is summed over the batch can be carried on.
bool Splittable(const OpCase& made) {
  if (!HasBatch(made, 0) || made.sizes[0] < 2) return false;
  for (size_t i = 0; i < made.memory.size(); ++i) {
    if (Written(made, i) && !HasBatch(made, i) && made.info().operands[i].access == Access::kWrite) return false;
  }
  return true;
}

// The first operand says what a product is computed in.
bool RoundsToF16(const OpCase& made) {
  if (made.call.operands[0].dtype != DType::kF32) return false;
  const auto& attributes = made.info().attributes;
  for (size_t i = 0; i < attributes.size(); ++i) {
    if (std::strcmp(attributes[i].name, "f16_factors") == 0 && made.call.attributes[i] == 1.0) return TestedRoundsToF16();
  }
  return false;
}

bool RoundsProbabilities(const OpCase& made) {
  if (made.op != Op::kAttention && made.op != Op::kAttentionBackward) return false;
  const TensorView &q = made.view("q"), &o = made.view("o");
  return q.dtype == DType::kBF16 && o.dtype == DType::kBF16 && TestedRoundsProbabilities(q.dim[3]);
}

double ToleranceOf(const OpSpec& spec, const OpCase& made) {
  bool narrow = false;
  for (const TensorView& view : made.call.operands) narrow |= view.present() && view.dtype == DType::kBF16;
  const double tolerance = narrow ? spec.bf16_tolerance : spec.tolerance;
  if (RoundsProbabilities(made)) return spec.bf16_factors_tolerance;
  return RoundsToF16(made) ? std::max(tolerance, spec.f16_tolerance) : tolerance;
}

void TestCase(Report& report, const OpSpec& spec, OpCase& start) {
  ThreadPool one(1), two(2);
  OpCase expected = Copy(start), actual = Copy(start);
  std::string problem = RunCase(expected, kReferenceKernels, one);
  if (problem.empty()) problem = RunCase(actual, TestedKernels(), one);
  if (problem.empty()) problem = Compare(actual, expected, ToleranceOf(spec, start));
  for (const int threads : TestedThreads()) {
    if (!problem.empty()) break;
    ThreadPool pool(threads);
    OpCase again = Copy(start, threads == 1 ? 1 : threads == 2 ? 3 : 0);
    problem = RunCase(again, TestedKernels(), pool);
    if (problem.empty()) problem = SameBits(again, actual);
    if (!problem.empty()) problem = Cat(threads, " threads: ", problem);
  }
  if (problem.empty() && Splittable(start)) {
    problem = SplitBatch(start, actual, two);
    if (!problem.empty()) problem = Cat("split batch: ", problem);
  }
  report.Add(start.info().name, start.name, problem);
}

const char* NameOf(DType dtype) {
  constexpr const char* kNames[] = {"f32", "bf16", "f16", "f64", "i32"};
  return kNames[static_cast<int>(dtype)];
}

// Every choice of one declared dtype for each operand.
std::vector<std::vector<DType>> DTypeChoices(const OpInfo& info) {
  std::vector<std::vector<DType>> choices{{}};
  for (const OperandInfo& operand : info.operands) {
    std::vector<std::vector<DType>> longer;
    for (const auto& choice : choices) {
      for (int dtype = 0; dtype < 5; ++dtype) {
        if ((operand.dtypes >> dtype & 1u) == 0) continue;
        if (operand.same_dtype_as >= 0 && choice[static_cast<size_t>(operand.same_dtype_as)] != static_cast<DType>(dtype)) continue;
        longer.push_back(choice);
        longer.back().push_back(static_cast<DType>(dtype));
      }
    }
    choices = std::move(longer);
  }
  return choices;
}

// use(case) for every size, dtype choice, attribute set, way of writing and choice of optional operands.
template <typename Use>
void ForCases(const OpSpec& spec, const Use& use) {
  const OpInfo& info = kOps[static_cast<size_t>(spec.op)];
  const auto choices = DTypeChoices(info);
  bool accumulable = false, optional = false;
  for (const OperandInfo& operand : info.operands) {
    accumulable |= operand.accumulable;
    optional |= operand.optional;
  }
  for (size_t s = 0; s < spec.sizes.size(); ++s) {
    for (size_t c = 0; c < choices.size(); ++c) {
      // Larger sizes: the first choice, the last, and one in between.
      if (s > 0 && c != 0 && c + 1 != choices.size() && c != choices.size() / 2) continue;
      for (const auto& attributes : spec.attributes) {
        for (int variant = 0; variant < 4; ++variant) {
          const bool accumulate = (variant & 1) != 0, without = (variant & 2) != 0;
          if ((accumulate && !accumulable) || (without && !optional)) continue;
          OpCase made = MakeCase(spec.op, spec.sizes[s],
                                 {.dtypes = choices[c], .attributes = attributes, .accumulate = accumulate, .optional = !without});
          for (int64_t size : spec.sizes[s]) made.name += Cat(size, " ");
          for (DType dtype : choices[c]) made.name += Cat(NameOf(dtype), " ");
          for (double attribute : attributes) made.name += Cat(attribute, " ");
          made.name += accumulate ? "accumulate " : "";
          made.name += without ? "without optional" : "";
          use(made);
        }
      }
    }
  }
}

// A line of JSON for each case with the workspace its kernel asks for, so that the planner's ceilings can be checked.
void PrintWorkspaces(const OpSpec& spec) {
  ForCases(spec, [&](OpCase& made) {
    for (const int threads : {1, 3}) {
      Preparation preparation;
      if (!TestedKernels()[static_cast<size_t>(made.op)].prepare(made.call, threads, &preparation).ok()) continue;
      std::printf("{\"op\": \"%s\", \"threads\": %d, \"workspace\": %zu, \"operands\": {", made.info().name, threads,
                  preparation.workspace_bytes);
      const char* separator = "";
      for (size_t i = 0; i < made.memory.size(); ++i) {
        const TensorView& view = made.call.operands[i];
        if (!view.present()) continue;
        std::printf("%s\"%s\": {\"dtype\": \"%s\", \"accumulate\": %s, \"shape\": [", separator, made.info().operands[i].name,
                    NameOf(view.dtype), made.call.accumulate[i] ? "true" : "false");
        for (int axis = 0; axis < view.rank; ++axis) std::printf("%s%ld", axis > 0 ? ", " : "", static_cast<long>(view.dim[axis]));
        std::printf("]}");
        separator = ", ";
      }
      std::printf("}, \"attributes\": [");
      for (size_t i = 0; i < made.info().attributes.size(); ++i) {
        const double value = made.call.attributes[i];
        std::printf("%s%.17g", i > 0 ? ", " : "", std::isfinite(value) ? value : 0.0);
      }
      std::printf("]}\n");
    }
  });
}

}  // namespace
}  // namespace lema::test

// lema_op_suite [op | --workspaces]
int main(int argc, char** argv) {
  using namespace lema;
  using namespace lema::test;
  const char* const only = argc > 1 ? argv[1] : nullptr;
  if (only != nullptr && std::strcmp(only, "--workspaces") == 0) {
    for (const OpSpec& spec : Specs()) PrintWorkspaces(spec);
    return 0;
  }
  Report report;
  std::printf("%s\n", TestedName().c_str());
  std::set<Op> tried;
  for (const OpSpec& spec : Specs()) {
    tried.insert(spec.op);
    if (only != nullptr && std::strcmp(only, OpName(static_cast<uint32_t>(spec.op))) != 0) continue;
    ForCases(spec, [&](OpCase& made) {
      Specialize(made);
      TestCase(report, spec, made);
    });
  }
  for (uint32_t op = 0; op < kOpCount; ++op) {
    if (!tried.contains(static_cast<Op>(op))) report.Add(OpName(op), "spec", "this op has no spec");
  }
  TestGeneration(report);
  TestGradients(report);
  return report.Finish();
}
