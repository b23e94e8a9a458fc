// y = x · (mean(x²) + epsilon)^(−1/2) · weight, row by row.
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareRmsNorm(const RmsNormArgs&, int, Preparation*) { return Status::Ok(); }

Status RmsNorm(const RmsNormArgs& a, PreparedCall*, KernelContext&) {
  const int64_t width = a.weight.dim[0];
  for (int64_t first = 0; first < a.x.elements(); first += width) {
    double squares = 0.0;
    for (int64_t h = 0; h < width; ++h) squares += Load(a.x, first + h) * Load(a.x, first + h);
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(width) + a.epsilon);
    for (int64_t h = 0; h < width; ++h) Store(a.y, first + h, Load(a.x, first + h) * inverse * Load(a.weight, h));
  }
  return Status::Ok();
}

}  // namespace lema::reference
