// Rates of the cpu kernels at the shapes of the bench model, beside what the machine can do: oneDNN's matrix product
// for ops that multiply, a plain copy for ops that move memory. At the end of each model and batch: what a step of the
// bench model (12 layers, LoRA on all linear layers, forward recomputed) would take by these times, beside the bound that
// its products alone set at oneDNN's rate. Usage: lema_op_bench [threads] [op].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "core/text.h"
#include "core/thread_pool.h"
#include "kernels/cpu/loops.h"
#include "matrix_peak.h"
#include "op_specs.h"

namespace lema::test {
namespace {

constexpr int64_t kHidden = 1024, kInner = 2816, kHeads = 16, kHead = 64, kLength = 512, kVocabulary = 32000, kRank = 16;

// Best of several runs: other work on the machine only ever adds time.
double Seconds(const std::function<void()>& run) {
  double best = 1e9;
  double total = 0.0;
  for (int i = 0; i < 20 && (i < 3 || total < 0.5); ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
    total += seconds.count();
  }
  return best;
}

struct BenchCase {
  Op op;
  const char* name;
  std::vector<int64_t> sizes;
  std::vector<double> attributes;
  std::vector<DType> dtypes;
  double flops;     // 0: bound by memory
  double per_step;  // calls in a step of the bench model
};

constexpr double kLayers = 12;

std::vector<BenchCase> Cases(int64_t batch, DType type) {
  constexpr DType f32 = DType::kF32, i32 = DType::kI32;
  const double tokens = static_cast<double>(batch * kLength);
  const std::vector<double> tiles{1.0, 512, 512};
  std::vector<BenchCase> cases;
  // `count` linears a layer: forward twice, input gradient once, weight gradient where it is trained.
  const auto products = [&](const char* name, int64_t in, int64_t out, DType weight, bool trained, double count) {
    const double flops = 2.0 * tokens * static_cast<double>(in * out);
    const double calls = kLayers * count;
    cases.push_back({Op::kLinear, name, {batch, kLength, in, out}, tiles, {type, weight, f32}, flops, 2 * calls});
    cases.push_back({Op::kLinearGradInput, name, {batch, kLength, out, in}, tiles, {type, weight, f32}, flops, calls});
    if (!trained) return;
    cases.push_back({Op::kLinearGradWeight, name, {batch, kLength, out, in}, tiles, {type, type, f32}, flops, calls});
  };
  products("1024-1024", kHidden, kHidden, type, false, 4);
  products("1024-2816", kHidden, kInner, type, false, 2);
  products("2816-1024", kInner, kHidden, type, false, 1);
  products("1024-16", kHidden, kRank, f32, true, 6);
  products("2816-16", kInner, kRank, f32, true, 1);
  products("16-1024", kRank, kHidden, f32, true, 5);
  products("16-2816", kRank, kInner, f32, true, 2);
  const double causal = tokens * static_cast<double>(kLength * kHidden);
  const double head = 4.0 * tokens * static_cast<double>(kHidden * kVocabulary);
  const double parameters = kLayers * kRank * (4.0 * (kHidden + kHidden) + 3.0 * (kHidden + kInner)) / (1 << 20);
  const std::vector<int64_t> heads{batch, kLength, kHeads, kHead, kHeads};
  const std::vector<int64_t> hidden{batch, kLength, kHidden}, inner{batch, kLength, kInner};
  const std::vector<int64_t> flat{batch * kLength * kHidden};
  const auto add = [&](Op op, const std::vector<int64_t>& sizes, std::vector<double> attributes, std::vector<DType> dtypes,
                       double flops, double per_step) {
    cases.push_back({op, "", sizes, std::move(attributes), std::move(dtypes), flops, per_step});
  };
  add(Op::kAttention, heads, {0.125}, {f32, f32, f32, i32, type, f32}, 2 * causal, 2 * kLayers);
  add(Op::kAttentionBackward, heads, {0.125}, {type, f32, f32, f32, type, f32, i32, type, type, type}, 5 * causal, kLayers);
  add(Op::kCrossEntropyTile, {batch, kLength, kHidden, kVocabulary}, {0, 1024, 512},
      {type, type, i32, f32, f32, f32, f32, f32}, head, 1);
  add(Op::kRmsNorm, hidden, {1e-5}, {f32, type, type}, 0, 4 * kLayers + 1);
  add(Op::kRmsNormBackward, hidden, {1e-5}, {type, f32, type, f32}, 0, 2 * kLayers + 1);
  add(Op::kRope, {batch, kLength, kHeads, kHead, kHead / 2}, {1}, {f32, f32, f32, f32}, 0, 6 * kLayers);
  add(Op::kSwiglu, inner, {}, {f32, f32, type}, 0, 2 * kLayers);
  add(Op::kSwigluBackward, inner, {}, {type, f32, f32, type, type}, 0, kLayers);
  add(Op::kAdd, flat, {}, {f32, f32, f32}, 0, 4 * kLayers);
  add(Op::kConvert, flat, {}, {f32, type}, 0, 2 * kLayers);
  add(Op::kAdamw, {1 << 20}, {0.9, 0.999, 1e-8}, {f32, f32, f32, f32, f32, i32, f32, f32, f32}, 0, parameters);
  add(Op::kSquareSum, {1 << 20}, {}, {f32, DType::kF64}, 0, parameters);
  return cases;
}

struct Machine {
  double product;  // GFLOP/s
  double copy;     // GB/s
};

// Seconds of one call.
double Bench(const BenchCase& bench, const Machine& machine, ThreadPool& pool) {
  OpCase made = MakeCase(bench.op, bench.sizes, {.dtypes = bench.dtypes, .attributes = bench.attributes});
  Specialize(made);
  // Every position supervised and every sequence one segment, as in the bench run.
  for (const char* all : {"labels", "segment_start"}) {
    if (made.Index(all) >= 0) std::memset(made.view(all).data, 0, made.view(all).bytes());
  }
  std::string problem;
  const double seconds = Seconds([&] { problem = RunCase(made, kCpuKernels, pool); });
  if (!problem.empty()) std::printf("%s\n", problem.c_str());
  double bytes = 0.0;
  for (const TensorView& view : made.call.operands) bytes += view.present() ? static_cast<double>(view.bytes()) : 0.0;
  const bool multiplies = bench.flops > 0.0;
  const double rate = (multiplies ? bench.flops : bytes) / seconds * 1e-9;
  std::printf("  %-20s %-10s %9.3f ms %8.1f %-7s %4.0f %%\n", made.info().name, bench.name, seconds * 1e3, rate,
              multiplies ? "GFLOP/s" : "GB/s", 100.0 * rate / (multiplies ? machine.product : machine.copy));
  return seconds;
}

void BenchModel(int64_t batch, DType type, const Machine& machine, ThreadPool& pool, const char* only) {
  std::printf("%s, %ld × %ld tokens\n", type == DType::kBF16 ? "bf16" : "f32", static_cast<long>(batch), static_cast<long>(kLength));
  double step = 0.0, flops = 0.0;
  for (const BenchCase& bench : Cases(batch, type)) {
    if (only != nullptr && std::strcmp(only, OpName(static_cast<uint32_t>(bench.op))) != 0) continue;
    step += bench.per_step * Bench(bench, machine, pool);
    flops += bench.per_step * bench.flops;
  }
  const double bound = flops * 1e-9 / machine.product;
  if (only == nullptr) {
    std::printf("  step %.2f s, %.0f tokens/s; products alone at oneDNN's rate %.2f s: %.0f %% of the bound\n", step,
                static_cast<double>(batch * kLength) / step, bound, 100.0 * bound / step);
  }
}

}  // namespace
}  // namespace lema::test

int main(int argc, char** argv) {
  using namespace lema;
  using namespace lema::test;
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 2);
  std::vector<char> from(256 << 20, 1), to(256 << 20, 2);
  const double seconds = Seconds([&] {
    pool.ParallelFor(256, [&](int64_t i, int) { std::memcpy(&to[static_cast<size_t>(i) << 20], &from[static_cast<size_t>(i) << 20], 1 << 20); });
  });
  const double copy = 2.0 * static_cast<double>(from.size()) / seconds * 1e-9;
  std::printf("instruction set %s, %d threads; copy %.1f GB/s\n", cpu::ActiveLoops().name, pool.threads(), copy);
  for (const DType type : {DType::kBF16, DType::kF32}) {
    const double peak = MatrixPeak(type, 2048, kInner, kHidden);
    std::printf("matrix product of oneDNN, %s: %.1f GFLOP/s\n", type == DType::kBF16 ? "bf16" : "f32", peak);
    for (const int64_t batch : {1, 4}) BenchModel(batch, type, {peak, copy}, pool, argc > 2 ? argv[2] : nullptr);
  }
}
