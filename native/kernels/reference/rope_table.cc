// cosine[b,s,p] = cos(positions[b,s] · inverse_frequencies[p]), sine likewise; the angle is an f32 as in Transformers.
#include <cmath>

#include "generated/ops.h"
#include "kernels/number.h"

namespace lema::reference {

Status PrepareRopeTable(const RopeTableArgs&, int, Preparation*) { return Status::Ok(); }

Status RopeTable(const RopeTableArgs& a, PreparedCall*, KernelContext&) {
  const int64_t pairs = a.inverse_frequencies.dim[0];
  for (int64_t i = 0; i < a.positions.elements(); ++i) {
    const float position = static_cast<float>(a.positions.as<const int32_t>()[i]);
    for (int64_t p = 0; p < pairs; ++p) {
      const float angle = position * a.inverse_frequencies.as<const float>()[p];
      Store(a.cosine, i * pairs + p, std::cos(static_cast<double>(angle)));
      Store(a.sine, i * pairs + p, std::sin(static_cast<double>(angle)));
    }
  }
  return Status::Ok();
}

}  // namespace lema::reference
