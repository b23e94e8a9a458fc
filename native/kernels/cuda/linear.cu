// y (+)= alpha · x · wᵀ.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinear(const LinearArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckTiles(a.row_tile, a.column_tile));
  return PrepareProduct(*preparation, {a.x.dim[0] * a.x.dim[1], a.w.dim[0], a.w.dim[1], true}, SuitsLibrary(a.x.dtype, a.w.dtype, a.y.dtype));
}

Status Linear(const LinearArgs& a, const LaunchContext& context) {
  const int64_t columns = a.w.dim[0], depth = a.w.dim[1];
  return PreparedProduct<Along::kDepth>({ElementsOf(a.x), depth}, {ElementsOf(a.w), depth}, {a.x.dim[0] * a.x.dim[1], columns, depth, 1, a.x.dtype},
                                        {ElementsOf(a.y), columns, a.alpha, a.y_accumulate}, context);
}

}  // namespace lema::cuda
