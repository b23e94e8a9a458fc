// o = softmax(scale · q·kᵀ over the earlier positions of the segment) · v, one query at a time.
#include <algorithm>
#include <cmath>
#include <vector>

#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareAttention(const AttentionArgs& a, int, Preparation*) { return CheckGroupedHeads(a.q, a.k); }

Status Attention(const AttentionArgs& a, PreparedCall*, KernelContext&) {
  LEMA_RETURN_IF_ERROR(CheckSegments(a.segment_start));
  const int64_t length = a.q.dim[1], heads = a.q.dim[2], size = a.q.dim[3], groups = a.k.dim[2];
  std::vector<double> scores(static_cast<size_t>(length));
  for (int64_t b = 0; b < a.q.dim[0]; ++b) {
    for (int64_t n = 0; n < heads; ++n) {
      const int64_t group = n * groups / heads;
      const auto key_row = [&](int64_t t) { return ((b * length + t) * groups + group) * size; };
      for (int64_t s = 0; s < length; ++s) {
        const int64_t start = a.segment_start.as<const int32_t>()[b * length + s];
        const int64_t query = ((b * length + s) * heads + n) * size;
        double maximum = -INFINITY;
        for (int64_t t = start; t <= s; ++t) {
          double dot = 0.0;
          for (int64_t d = 0; d < size; ++d) dot += Load(a.q, query + d) * Load(a.k, key_row(t) + d);
          scores[t] = a.scale * dot;
          maximum = std::max(maximum, scores[t]);
        }
        double sum = 0.0;
        for (int64_t t = start; t <= s; ++t) sum += std::exp(scores[t] - maximum);
        for (int64_t d = 0; d < size; ++d) {
          double value = 0.0;
          for (int64_t t = start; t <= s; ++t) value += std::exp(scores[t] - maximum) / sum * Load(a.v, key_row(t) + d);
          Store(a.o, query + d, value);
        }
        Store(a.log_sum_exp, (b * heads + n) * length + s, maximum + std::log(sum));
      }
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
