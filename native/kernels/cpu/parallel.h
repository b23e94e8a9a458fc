// How the cpu kernels split their work: fixed chunks, whatever the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/kernel.h"
#include "kernels/cpu/loops.h"

namespace lema::cpu {

// Elements of one task of a kernel that is bound by memory: large beside the hand-out, small beside a tensor.
inline constexpr int64_t kChunk = 16384;

// body(first, count) over [0, count) in chunks.
template <typename Body>
void ForChunks(TaskRunner& runner, int64_t count, int64_t chunk, const Body& body) {
  runner.ParallelFor((count + chunk - 1) / chunk, [&](int64_t i, int) { body(i * chunk, std::min(chunk, count - i * chunk)); });
}

// body(row) over rows of `width` elements, several to a task.
template <typename Body>
void ForRows(TaskRunner& runner, int64_t rows, int64_t width, const Body& body) {
  ForChunks(runner, rows, std::max<int64_t>(1, kChunk / std::max<int64_t>(1, width)), [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row) body(row);
  });
}

inline Elements From(const TensorView& tensor, int64_t element = 0) {
  return {static_cast<const char*>(tensor.data) + element * static_cast<int64_t>(SizeOf(tensor.dtype)), tensor.dtype};
}

inline void* At(const TensorView& tensor, int64_t element) {
  return static_cast<char*>(tensor.data) + element * static_cast<int64_t>(SizeOf(tensor.dtype));
}

// Sequence b, head `head` of [B, S, heads, size].
inline HeadRows HeadOf(const TensorView& tensor, int64_t b, int64_t head) {
  const int64_t stride = tensor.dim[2] * tensor.dim[3];
  return {At(tensor, b * tensor.dim[1] * stride + head * tensor.dim[3]), tensor.dtype, stride};
}

}  // namespace lema::cpu
