// p = exp(scale·q·k − lse); ds = p·(do·v − do·o); dq = scale·Σ ds·k, dk = scale·Σ ds·q, dv = Σ p·do; one query at a time.
#include <cmath>
#include <vector>

#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareAttentionBackward(const AttentionBackwardArgs& a, int, Preparation*) {
  return CheckGroupedHeads(a.q, a.k);
}

Status AttentionBackward(const AttentionBackwardArgs& a, PreparedCall*, KernelContext&) {
  LEMA_RETURN_IF_ERROR(CheckSegments(a.segment_start));
  const int64_t length = a.q.dim[1], heads = a.q.dim[2], size = a.q.dim[3], groups = a.k.dim[2];
  std::vector<double> dk(static_cast<size_t>(a.k.elements())), dv(dk.size()), dq(static_cast<size_t>(size));
  for (int64_t b = 0; b < a.q.dim[0]; ++b) {
    for (int64_t n = 0; n < heads; ++n) {
      const int64_t group = n * groups / heads;
      for (int64_t s = 0; s < length; ++s) {
        const int64_t query = ((b * length + s) * heads + n) * size;
        const double lse = Load(a.log_sum_exp, (b * heads + n) * length + s);
        double delta = 0.0;
        for (int64_t d = 0; d < size; ++d) delta += Load(a.do_, query + d) * Load(a.o, query + d);
        dq.assign(dq.size(), 0.0);
        for (int64_t t = a.segment_start.as<const int32_t>()[b * length + s]; t <= s; ++t) {
          const int64_t key = ((b * length + t) * groups + group) * size;
          double score = 0.0, dp = 0.0;
          for (int64_t d = 0; d < size; ++d) {
            score += Load(a.q, query + d) * Load(a.k, key + d);
            dp += Load(a.do_, query + d) * Load(a.v, key + d);
          }
          const double p = std::exp(a.scale * score - lse);
          const double ds = a.scale * p * (dp - delta);
          for (int64_t d = 0; d < size; ++d) {
            dq[d] += ds * Load(a.k, key + d);
            dk[key + d] += ds * Load(a.q, query + d);
            dv[key + d] += p * Load(a.do_, query + d);
          }
        }
        for (int64_t d = 0; d < size; ++d) Store(a.dq, query + d, dq[d]);
      }
    }
  }
  for (int64_t i = 0; i < a.k.elements(); ++i) {
    Store(a.dk, i, dk[i]);
    Store(a.dv, i, dv[i]);
  }
  return Status::Ok();
}

}  // namespace lema::reference
