// y = Σ x²: f64 sums over chunks of 4,096 elements, added in order.
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {
namespace {

constexpr int64_t kSumChunk = 4096;

int64_t Chunks(const TensorView& x) { return (x.elements() + kSumChunk - 1) / kSumChunk; }

}  // namespace

Status PrepareSquareSum(const SquareSumArgs& a, int, Preparation* preparation) {
  preparation->workspace_bytes = static_cast<size_t>(Chunks(a.x)) * sizeof(double);
  return Status::Ok();
}

Status SquareSum(const SquareSumArgs& a, PreparedCall*, KernelContext& context) {
  double* const sums = reinterpret_cast<double*>(context.workspace.data);
  const int64_t chunks = Chunks(a.x);
  ForChunks(context.runner, chunks, kChunk / kSumChunk, [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      const int64_t begin = i * kSumChunk;
      sums[i] = ActiveLoops().square_sum(a.x.as<const float>() + begin, std::min(kSumChunk, a.x.elements() - begin));
    }
  });
  double total = 0.0;
  for (int64_t i = 0; i < chunks; ++i) total += sums[i];
  *a.y.as<double>() = total;
  return Status::Ok();
}

}  // namespace lema::cpu
