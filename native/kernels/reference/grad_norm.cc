// norm = √Σ squares; clip = min(1, max_norm / (norm + 1e-6)); skip where norm is not finite.
#include <cmath>

#include "generated/ops.h"

namespace lema::reference {

Status PrepareGradNorm(const GradNormArgs&, int, Preparation*) { return Status::Ok(); }

Status GradNorm(const GradNormArgs& a, PreparedCall*, KernelContext&) {
  double total = 0.0;
  for (int64_t i = 0; i < a.squares.elements(); ++i) total += a.squares.as<const double>()[i];
  const double norm = std::sqrt(total);
  const double factor = a.max_norm > 0.0f ? a.max_norm / (norm + 1e-6) : 1.0;
  *a.norm.as<double>() = norm;
  *a.clip.as<float>() = factor < 1.0 ? static_cast<float>(factor) : 1.0f;
  *a.skip.as<int32_t>() = std::isfinite(norm) ? 0 : 1;
  return Status::Ok();
}

}  // namespace lema::reference
