// dw += alpha · Σ_b dy[b]ᵀ · x[b], one sequence after the other.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinearGradWeight(const LinearGradWeightArgs& a, DevicePreparation*) { return CheckTiles(a.row_tile, a.column_tile); }

Status LinearGradWeight(const LinearGradWeightArgs& a, const LaunchContext& context) {
  const int64_t length = a.dy.dim[1], rows = a.dw.dim[0], columns = a.dw.dim[1];
  const Factor dy{ElementsOf(a.dy), rows, false, false, length * rows};
  const Factor x{ElementsOf(a.x), columns, false, a.dy.dtype == DType::kBF16 && a.x.dtype != DType::kBF16, length * columns};
  return Product(dy, x, {rows, columns, length, a.dy.dim[0]}, ScaledResult{ElementsOf(a.dw), columns, a.alpha, true}, context);
}

}  // namespace lema::cuda
