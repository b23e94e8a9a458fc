// y (+)= alpha · x · wᵀ.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinear(const LinearArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckTiles(a.row_tile, a.column_tile));
  return PrepareProduct(*preparation, {a.x.dim[0] * a.x.dim[1], a.w.dim[0], a.w.dim[1], true, a.y.dtype}, a.x.dtype, a.w.dtype);
}

Status Linear(const LinearArgs& a, const LaunchContext& context) {
  const int64_t columns = a.w.dim[0], depth = a.w.dim[1];
  return Product<Along::kDepth, Along::kDepth>({ElementsOf(a.x), depth}, {ElementsOf(a.w), depth}, {a.x.dim[0] * a.x.dim[1], columns, depth, 1, a.x.dtype},
                 ScaledResult{ElementsOf(a.y), columns, a.alpha, a.y_accumulate}, context);
}

}  // namespace lema::cuda
