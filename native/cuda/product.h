// The matrix product that serves every op: result[m, n] = Σ_k left(m, k) · right(n, k), both factors rounded to the
// shape's dtype (to f16 only where the device has units for it), summed in f32. Which kernel computes it depends on dtype and device, which tile on the shape. No tile,
// batch or address changes the order of a sum, so that on one device bits depend on the operands alone
// (docs/decisions/0005 says why this matters; here it holds for the same reason).
#pragma once

#include "cuda/library_products.h"
#include "cuda/product_f16.h"
#include "cuda/product_path.h"
#include "cuda/product_simt.h"
#include "cuda/product_tensor.h"

namespace lema::cuda {

// Each takes its 48 KiB of shared memory.
using LargeTensorTile = TensorTile<128, 128, 32, 64, 64, 2, Supply::kCopied>;
using MediumTensorTile = TensorTile<64, 64, 64, 32, 32, 3, Supply::kAny>;
using NarrowTensorTile = TensorTile<32, 32, 128, 16, 16, 4, Supply::kAny>;

// 32 KiB of shared memory for the large one, of the 64 KiB that a multiprocessor of sm_75 has; 16 for the others.
using LargeF16Tile = F16Tile<128, 128, 32, 64, 32, 1>;
using MediumF16Tile = F16Tile<64, 64, 32, 32, 32, 3>;
using NarrowF16Tile = F16Tile<32, 32, 64, 16, 16, 4>;

// The dtype that an op asks its products to be computed in.
inline DType ComputeDType(DType activation, int32_t f16_factors) {
  return activation == DType::kF32 && f16_factors != 0 ? DType::kF16 : activation;
}

// What a product takes of its op's workspace, on any device.
inline size_t ProductWorkspace(const ProductShape& shape, DType left, DType right) {
  if (shape.compute != DType::kF16) return 0;
  return ExponentBytes(left, shape.rows, shape.batches) + ExponentBytes(right, shape.columns, shape.batches);
}

inline Factor Prepared(Factor factor, Along along, DType compute) {
  factor.along_depth = along == Along::kDepth;
  const bool bf16 = factor.elements.dtype == DType::kBF16;
  factor.round_to_bf16 = compute == DType::kBF16 && !bf16;
  factor.by_sixteen_bytes =
      bf16 && reinterpret_cast<uintptr_t>(factor.elements.data) % 16 == 0 && factor.stride % 8 == 0 && factor.batch % 8 == 0;
  return factor;
}

inline bool OnBytes(const Elements& elements, uintptr_t alignment) { return reinterpret_cast<uintptr_t>(elements.data) % alignment == 0; }

template <Along kLeft, Along kRight, typename Result>
Status Product(const Factor& left, const Factor& right, const ProductShape& shape, const Result& result, const LaunchContext& context) {
  Factor l = Prepared(left, kLeft, shape.compute), r = Prepared(right, kRight, shape.compute);
  if (MultipliesF16(shape.depth, shape.compute, context.capability)) {
    std::byte* workspace = context.workspace;
    LEMA_RETURN_IF_ERROR(FindExponents<kLeft>(&l, shape.rows, shape, &workspace, context));
    LEMA_RETURN_IF_ERROR(FindExponents<kRight>(&r, shape.columns, shape, &workspace, context));
  }
  switch (ProductPathOf(shape.rows, shape.columns, shape.depth, l.by_sixteen_bytes && r.by_sixteen_bytes, shape.compute, context.capability)) {
    case ProductPath::kTensor128x128: return LaunchTensorProduct<LargeTensorTile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kTensor64x64: return LaunchTensorProduct<MediumTensorTile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kTensor32x32: return LaunchTensorProduct<NarrowTensorTile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kF16Tensor128x128: return LaunchF16Product<LargeF16Tile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kF16Tensor64x64: return LaunchF16Product<MediumF16Tile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kF16Tensor32x32: return LaunchF16Product<NarrowF16Tile, kLeft, kRight>(l, r, shape, result, context);
    case ProductPath::kSimt128x128: return LaunchProduct<ProductTile<128, 128, 8, 8, 8, 2>>(l, r, shape, result, context);
    case ProductPath::kSimt128x16: return LaunchProduct<ProductTile<128, 16, 2, 4, 16, 2>>(l, r, shape, result, context);
    case ProductPath::kSimt16x128: return LaunchProduct<ProductTile<16, 128, 2, 4, 16, 2>>(l, r, shape, result, context);
  }
  return Status(StatusCode::kKernelError, "a product without a kernel");
}

// The same, left factor along the depth and every matrix dense, of an op that has said so at load (PrepareProduct): by the
// library where that serves it. Other ops may have products of the same sizes; theirs are lema's own whatever a plan
// prepares, so that its ops never show in one another's bits. A plan puts every operand on 64 bytes, so that no bit depends
// on an address here either.
template <Along kRight>
Status PreparedProduct(const Factor& left, const Factor& right, const ProductShape& shape, const ScaledResult& result, const LaunchContext& context) {
  constexpr uintptr_t kAlignment = LibraryProducts::kAlignment;
  const LibraryProduct product{shape.rows, shape.columns, shape.depth, kRight == Along::kDepth};
  const bool aligned = OnBytes(left.elements, kAlignment) && OnBytes(right.elements, kAlignment) && OnBytes(result.elements, kAlignment);
  const bool suits = SuitsLibrary(left.elements.dtype, right.elements.dtype, result.elements.dtype);
  if (context.library != nullptr && suits && aligned && context.library->Has(product)) {
    return context.library->Multiply(product, left.elements.data, right.elements.data, result.elements.data, result.alpha, result.accumulate,
                                     context.stream);
  }
  return Product<Along::kDepth, kRight>(left, right, shape, result, context);
}

}  // namespace lema::cuda
