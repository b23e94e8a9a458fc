// dx (+)= alpha · dy · w.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {

Status PrepareLinearGradInput(const LinearGradInputArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckTiles(a.row_tile, a.column_tile));
  return PrepareProduct(*preparation, {a.dy.dim[0] * a.dy.dim[1], a.w.dim[1], a.w.dim[0], false}, SuitsLibrary(a.dy.dtype, a.w.dtype, a.dx.dtype));
}

Status LinearGradInput(const LinearGradInputArgs& a, const LaunchContext& context) {
  const int64_t depth = a.w.dim[0], columns = a.w.dim[1];
  return PreparedProduct<Along::kOuter>({ElementsOf(a.dy), depth}, {ElementsOf(a.w), columns},
                                        {a.dy.dim[0] * a.dy.dim[1], columns, depth, 1, a.dy.dtype},
                                        {ElementsOf(a.dx), columns, a.alpha, a.dx_accumulate}, context);
}

}  // namespace lema::cuda
