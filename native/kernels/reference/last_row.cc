// y[b, 0] = x[b, new_tokens − 1].
#include <cstring>

#include "generated/ops.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareLastRow(const LastRowArgs&, int, Preparation*) { return Status::Ok(); }

Status LastRow(const LastRowArgs& a, PreparedCall*, KernelContext&) {
  const int64_t rows = a.x.dim[1], width = a.x.dim[2];
  for (int64_t b = 0; b < a.x.dim[0]; ++b) {
    const int64_t count = a.new_tokens.as<const int32_t>()[b];
    if (count < 1 || count > rows) return Status(StatusCode::kOutOfRange, Cat(count, " new positions of ", rows));
    std::memcpy(a.y.as<float>() + b * width, a.x.as<const float>() + (b * rows + count - 1) * width,
                static_cast<size_t>(width) * sizeof(float));
  }
  return Status::Ok();
}

}  // namespace lema::reference
