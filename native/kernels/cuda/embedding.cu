// x[b,s,:] = table[tokens[b,s],:]: one block a row. A token outside of the table is a fault, and its row is zero.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void EmbeddingKernel(const int32_t* tokens, Elements table, float* x, int64_t width, int64_t vocabulary, DeviceFault* fault) {
  const int64_t row = blockIdx.x;
  const int32_t token = tokens[row];
  const bool known = token >= 0 && token < vocabulary;
  if (!known && threadIdx.x == 0) Report(fault, StatusCode::kOutOfRange, row, token);
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4] = {};
    if (known) LoadFour(table, token * width + h, left, v);
    StoreFour(x + row * width + h, left, v);
  });
}

}  // namespace

Status PrepareEmbedding(const EmbeddingArgs&, DevicePreparation*) { return Status::Ok(); }

Status Embedding(const EmbeddingArgs& a, const LaunchContext& context) {
  const auto rows = static_cast<unsigned>(a.tokens.elements());
  return Launch(EmbeddingKernel, {rows, 1, 1}, kRowThreads, context, a.tokens.as<const int32_t>(), ElementsOf(a.table),
                a.x.as<float>(), a.table.dim[1], a.table.dim[0], context.fault);
}

}  // namespace lema::cuda
