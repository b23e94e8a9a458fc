// dx (+)= alpha · dy · w.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

ProductShape ShapeOf(const LinearGradInputArgs& a) {
  return {a.dy.dim[0] * a.dy.dim[1], a.w.dim[1], a.w.dim[0], 1, ComputeDType(a.dy.dtype, a.f16_factors)};
}

}  // namespace

Status PrepareLinearGradInput(const LinearGradInputArgs& a, DevicePreparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckProduct(a.row_tile, a.column_tile, a.f16_factors));
  const ProductShape shape = ShapeOf(a);
  preparation->workspace_bytes = ProductWorkspace(shape, a.dy.dtype, a.w.dtype);
  return PrepareProduct(*preparation, {shape.rows, shape.columns, shape.depth, false}, SuitsLibrary(a.dy.dtype, a.w.dtype, a.dx.dtype));
}

Status LinearGradInput(const LinearGradInputArgs& a, const LaunchContext& context) {
  const ProductShape shape = ShapeOf(a);
  return PreparedProduct<Along::kOuter>({ElementsOf(a.dy), shape.depth}, {ElementsOf(a.w), shape.columns}, shape,
                                        {ElementsOf(a.dx), shape.columns, a.alpha, a.dx_accumulate}, context);
}

}  // namespace lema::cuda
