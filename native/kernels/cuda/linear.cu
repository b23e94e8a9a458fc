// y (+)= alpha · x · wᵀ.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinear(const LinearArgs& a, DevicePreparation*) { return CheckTiles(a.row_tile, a.column_tile); }

Status Linear(const LinearArgs& a, const LaunchContext& context) {
  const int64_t columns = a.w.dim[0], depth = a.w.dim[1];
  const Factor x{ElementsOf(a.x), depth, true, false, 0};
  const Factor w{ElementsOf(a.w), depth, true, a.x.dtype == DType::kBF16 && a.w.dtype != DType::kBF16, 0};
  return Product(x, w, {a.x.dim[0] * a.x.dim[1], columns, depth, 1},
                 ScaledResult{ElementsOf(a.y), columns, a.alpha, a.y_accumulate}, context);
}

}  // namespace lema::cuda
