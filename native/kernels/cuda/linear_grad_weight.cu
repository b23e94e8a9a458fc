// dw += alpha · Σ_b dy[b]ᵀ · x[b], one sequence after the other.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinearGradWeight(const LinearGradWeightArgs& a, DevicePreparation*) { return CheckTiles(a.row_tile, a.column_tile); }

Status LinearGradWeight(const LinearGradWeightArgs& a, const LaunchContext& context) {
  const int64_t length = a.dy.dim[1], rows = a.dw.dim[0], columns = a.dw.dim[1];
  return Product<Along::kOuter, Along::kOuter>({ElementsOf(a.dy), rows, length * rows}, {ElementsOf(a.x), columns, length * columns},
                 {rows, columns, length, a.dy.dim[0], a.dy.dtype}, ScaledResult{ElementsOf(a.dw), columns, a.alpha, true}, context);
}

}  // namespace lema::cuda
