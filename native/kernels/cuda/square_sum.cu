// y = Σ x²: f64 sums over chunks of 4,096 elements, added in order. Eight lanes a chunk, in the order of the cpu kernel:
// the norm of a gradient has the same bits wherever it is taken.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

constexpr int64_t kChunk = 4096;
constexpr int kLanes = 8;
constexpr int kThreads = 128;

int64_t Chunks(const TensorView& x) { return (x.elements() + kChunk - 1) / kChunk; }

__global__ void ChunkKernel(const float* x, double* sums, int64_t count, int64_t chunks) {
  const int64_t chunk = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  double sum = 0.0;
  if (chunk < chunks) {
    const int64_t end = (chunk + 1) * kChunk < count ? (chunk + 1) * kChunk : count;
    for (int64_t i = chunk * kChunk + threadIdx.x % kLanes; i < end; i += kLanes) {
      const double value = static_cast<double>(x[i]);
      sum += value * value;
    }
  }
  sum = SumOfLanes<kLanes>(sum);
  if (chunk < chunks && threadIdx.x % kLanes == 0) sums[chunk] = sum;
}

__global__ void TotalKernel(const double* sums, int64_t chunks, double* y) {
  if (threadIdx.x != 0) return;
  double total = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) total += sums[chunk];
  *y = total;
}

}  // namespace

Status PrepareSquareSum(const SquareSumArgs& a, DevicePreparation* preparation) {
  preparation->workspace_bytes = static_cast<size_t>(Chunks(a.x)) * sizeof(double);
  return Status::Ok();
}

Status SquareSum(const SquareSumArgs& a, const LaunchContext& context) {
  const int64_t chunks = Chunks(a.x);
  double* const sums = reinterpret_cast<double*>(context.workspace);
  LEMA_RETURN_IF_ERROR(Launch(ChunkKernel, {Blocks(chunks * kLanes, kThreads), 1, 1}, kThreads, context, a.x.as<const float>(),
                              sums, a.x.elements(), chunks));
  return Launch(TotalKernel, {1, 1, 1}, kWarp, context, static_cast<const double*>(sums), chunks, a.y.as<double>());
}

}  // namespace lema::cuda
