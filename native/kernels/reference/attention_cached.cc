// o = softmax(scale · q·kᵀ over the cached positions up to the query's own) · v; padding rows are zero.
#include <algorithm>
#include <cmath>
#include <vector>

#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareAttentionCached(const AttentionCachedArgs& a, int, Preparation*) { return CheckGroupedHeads(a.q, a.k); }

Status AttentionCached(const AttentionCachedArgs& a, PreparedCall*, KernelContext&) {
  const int64_t rows = a.q.dim[1], heads = a.q.dim[2], size = a.q.dim[3], capacity = a.k.dim[1], groups = a.k.dim[2];
  LEMA_RETURN_IF_ERROR(CheckStep(a.kv_length, a.new_tokens, rows, capacity));
  std::vector<double> scores(static_cast<size_t>(capacity));
  for (int64_t b = 0; b < a.q.dim[0]; ++b) {
    const int64_t past = a.kv_length.as<const int32_t>()[b], count = a.new_tokens.as<const int32_t>()[b];
    for (int64_t n = 0; n < heads; ++n) {
      const int64_t group = n * groups / heads;
      const auto key_row = [&](int64_t t) { return ((b * capacity + t) * groups + group) * size; };
      for (int64_t s = 0; s < rows; ++s) {
        const int64_t query = ((b * rows + s) * heads + n) * size;
        const int64_t keys = s < count ? past + s + 1 : 0;
        double maximum = -INFINITY;
        for (int64_t t = 0; t < keys; ++t) {
          double dot = 0.0;
          for (int64_t d = 0; d < size; ++d) dot += Load(a.q, query + d) * Load(a.k, key_row(t) + d);
          scores[t] = a.scale * dot;
          maximum = std::max(maximum, scores[t]);
        }
        double sum = 0.0;
        for (int64_t t = 0; t < keys; ++t) sum += std::exp(scores[t] - maximum);
        for (int64_t d = 0; d < size; ++d) {
          double value = 0.0;
          for (int64_t t = 0; t < keys; ++t) value += std::exp(scores[t] - maximum) / sum * Load(a.v, key_row(t) + d);
          Store(a.o, query + d, value);
        }
      }
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
