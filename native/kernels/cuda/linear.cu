// y (+)= alpha · x · wᵀ.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

ProductShape ShapeOf(const LinearArgs& a) {
  return {a.x.dim[0] * a.x.dim[1], a.w.dim[0], a.w.dim[1], 1, ComputeDType(a.x.dtype, a.f16_factors)};
}

}  // namespace

Status PrepareLinear(const LinearArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckProduct(a.row_tile, a.column_tile, a.f16_factors));
  const ProductShape shape = ShapeOf(a);
  preparation->workspace_bytes = ProductWorkspace(shape, a.x.dtype, a.w.dtype);
  return PrepareProduct(*preparation, {shape.rows, shape.columns, shape.depth, true}, SuitsLibrary(a.x.dtype, a.w.dtype, a.y.dtype));
}

Status Linear(const LinearArgs& a, const LaunchContext& context) {
  const ProductShape shape = ShapeOf(a);
  return PreparedProduct<Along::kDepth>({ElementsOf(a.x), shape.depth}, {ElementsOf(a.w), shape.depth}, shape,
                                        {ElementsOf(a.y), shape.columns, a.alpha, a.y_accumulate}, context);
}

}  // namespace lema::cuda
