// cache[b, kv_length + s] = rows[b, s] for s < new_tokens: one block a row. A step that leaves the cache is a fault and
// changes nothing.
#include "cuda/rows.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {
namespace {

__global__ void CacheAppendKernel(const float* rows, const int32_t* kv_length, const int32_t* new_tokens, float* cache,
                                  int64_t length, int64_t capacity, int64_t width, DeviceFault* fault) {
  const int64_t b = blockIdx.y, s = blockIdx.x;
  const int64_t past = kv_length[b], count = new_tokens[b];
  if (past < 0 || count < 1 || count > length || past + count > capacity) {
    if (threadIdx.x == 0) Report(fault, StatusCode::kOutOfRange, b, static_cast<int32_t>(past + count));
    return;
  }
  if (s >= count) return;
  ForFoursOfRow(width, [&](int64_t h, int64_t left) {
    float v[4];
    LoadFour(rows + (b * length + s) * width + h, left, v);
    StoreFour(cache + (b * capacity + past + s) * width + h, left, v);
  });
}

}  // namespace

Status PrepareCacheAppend(const CacheAppendArgs&, DevicePreparation*) { return Status::Ok(); }

Status CacheAppend(const CacheAppendArgs& a, const LaunchContext& context) {
  const int64_t length = a.rows.dim[1];
  return Launch(CacheAppendKernel, {static_cast<unsigned>(length), static_cast<unsigned>(a.rows.dim[0]), 1}, kRowThreads, context,
                a.rows.as<const float>(), a.kv_length.as<const int32_t>(), a.new_tokens.as<const int32_t>(), a.cache.as<float>(),
                length, a.cache.dim[1], a.rows.dim[2] * a.rows.dim[3], context.fault);
}

}  // namespace lema::cuda
