// One chunk of the head, tile by tile with online softmax. Rows without a label are left as they are.
#include <algorithm>
#include <cmath>
#include <vector>

#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareCrossEntropyTile(const CrossEntropyTileArgs& a, int, Preparation*) {
  return CheckCrossEntropyTile(a.expected_row, a.label_row, a.first_row, a.vocabulary_tile, a.row_tile, a.f16_factors);
}

Status CrossEntropyTile(const CrossEntropyTileArgs& a, PreparedCall*, KernelContext&) {
  const int64_t vocabulary = a.w.dim[0];
  const int64_t width = a.w.dim[1];
  const auto weight = [&](int64_t v, int64_t h) { return RoundTo(a.x.dtype, Load(a.w, v * width + h)); };
  std::vector<double> logits(static_cast<size_t>(a.vocabulary_tile));
  for (int64_t row = 0; row < a.labels.elements(); ++row) {
    const int64_t label = a.labels.as<const int32_t>()[row];
    if (label == kIgnoredLabel) continue;
    for (int64_t first = 0; first < vocabulary; first += a.vocabulary_tile) {
      const int64_t count = std::min<int64_t>(a.vocabulary_tile, vocabulary - first);
      double maximum = Load(a.maximum, row);
      for (int64_t v = 0; v < count; ++v) {
        double sum = 0.0;
        for (int64_t h = 0; h < width; ++h) sum += Load(a.x, row * width + h) * weight(first + v, h);
        logits[v] = sum;
        maximum = std::max(maximum, sum);
      }
      const double rescale = std::exp(Load(a.maximum, row) - maximum);
      double sum = Load(a.sum, row) * rescale;
      for (int64_t v = 0; v < count; ++v) sum += std::exp(logits[v] - maximum);
      Store(a.maximum, row, maximum);
      Store(a.sum, row, sum);
      const int64_t hit = label - a.first_row - first;
      const bool met = hit >= 0 && hit < count;
      if (met) Store(a.label_logit, row, logits[hit]);
      if (!a.expected_row.present()) continue;
      for (int64_t h = 0; h < width; ++h) {
        double expected = Load(a.expected_row, row * width + h) * rescale;
        for (int64_t v = 0; v < count; ++v) expected += std::exp(logits[v] - maximum) * weight(first + v, h);
        Store(a.expected_row, row * width + h, expected);
        if (met) Store(a.label_row, row * width + h, weight(first + hit, h));
      }
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
