// dx (+)= r·(w·dy) − x·r³·mean(w·dy·x), row by row.
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareRmsNormBackward(const RmsNormBackwardArgs&, int, Preparation*) { return Status::Ok(); }

Status RmsNormBackward(const RmsNormBackwardArgs& a, PreparedCall*, KernelContext&) {
  const int64_t width = a.weight.dim[0];
  const double count = static_cast<double>(width);
  for (int64_t first = 0; first < a.x.elements(); first += width) {
    double squares = 0.0;
    double products = 0.0;
    for (int64_t h = 0; h < width; ++h) {
      const double x = Load(a.x, first + h);
      squares += x * x;
      products += Load(a.weight, h) * Load(a.dy, first + h) * x;
    }
    const double r = 1.0 / std::sqrt(squares / count + a.epsilon);
    for (int64_t h = 0; h < width; ++h) {
      const double dx = r * Load(a.weight, h) * Load(a.dy, first + h) - Load(a.x, first + h) * r * r * r * products / count;
      Store(a.dx, first + h, dx + (a.dx_accumulate ? Load(a.dx, first + h) : 0.0));
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
