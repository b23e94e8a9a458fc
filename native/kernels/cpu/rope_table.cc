// Cosines and sines of the rotary angles, evaluated in f64: once per step, so accuracy is cheap.
#include <cmath>

#include "generated/ops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

Status PrepareRopeTable(const RopeTableArgs&, int, Preparation*) { return Status::Ok(); }

Status RopeTable(const RopeTableArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t pairs = a.inverse_frequencies.dim[0];
  ForRows(context.runner, a.positions.elements(), 16 * pairs, [&](int64_t row) {
    const float position = static_cast<float>(a.positions.as<const int32_t>()[row]);
    for (int64_t p = 0; p < pairs; ++p) {
      const float angle = position * a.inverse_frequencies.as<const float>()[p];
      a.cosine.as<float>()[row * pairs + p] = static_cast<float>(std::cos(static_cast<double>(angle)));
      a.sine.as<float>()[row * pairs + p] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  });
  return Status::Ok();
}

}  // namespace lema::cpu
