// cache[b, kv_length + s] = rows[b, s]: the new rows of a sequence are one stretch of bytes.
#include <cstring>

#include "generated/ops.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareCacheAppend(const CacheAppendArgs&, int, Preparation*) { return Status::Ok(); }

Status CacheAppend(const CacheAppendArgs& a, PreparedCall*, KernelContext&) {
  const int64_t rows = a.rows.dim[1], capacity = a.cache.dim[1], width = a.rows.dim[2] * a.rows.dim[3];
  LEMA_RETURN_IF_ERROR(CheckStep(a.kv_length, a.new_tokens, rows, capacity));
  const int64_t row_bytes = width * static_cast<int64_t>(SizeOf(a.rows.dtype));
  for (int64_t b = 0; b < a.rows.dim[0]; ++b) {
    const int64_t past = a.kv_length.as<const int32_t>()[b], count = a.new_tokens.as<const int32_t>()[b];
    std::memcpy(a.cache.as<std::byte>() + (b * capacity + past) * row_bytes,
                a.rows.as<const std::byte>() + b * rows * row_bytes, static_cast<size_t>(count * row_bytes));
  }
  return Status::Ok();
}

}  // namespace lema::reference
