// dw += alpha · Σ_b dy[b]ᵀ · x[b], one sequence after the other.
#include "cuda/product.h"
#include "generated/cuda_ops.h"
#include "kernels/preconditions.h"

namespace lema::cuda {
namespace {

ProductShape ShapeOf(const LinearGradWeightArgs& a) {
  return {a.dw.dim[0], a.dw.dim[1], a.dy.dim[1], a.dy.dim[0], ComputeDType(a.dy.dtype, a.f16_factors)};
}

}  // namespace

Status PrepareLinearGradWeight(const LinearGradWeightArgs& a, DevicePreparation* preparation) {
  preparation->workspace_bytes = ProductWorkspace(ShapeOf(a), a.dy.dtype, a.x.dtype);
  return CheckProduct(a.row_tile, a.column_tile, a.f16_factors);
}

Status LinearGradWeight(const LinearGradWeightArgs& a, const LaunchContext& context) {
  const ProductShape shape = ShapeOf(a);
  return Product<Along::kOuter, Along::kOuter>({ElementsOf(a.dy), shape.rows, shape.depth * shape.rows},
                                               {ElementsOf(a.x), shape.columns, shape.depth * shape.columns}, shape,
                                               ScaledResult{ElementsOf(a.dw), shape.columns, a.alpha, true}, context);
}

}  // namespace lema::cuda
