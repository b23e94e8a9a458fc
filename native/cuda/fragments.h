// Fragments of matrices of 16-bit elements in shared memory, as MultiplyBf16 takes them.
#pragma once

#include "cuda/tensor_core.h"

namespace lema::cuda {

// The axis whose neighbours stand side by side in a factor of a product.
enum class Along { kDepth, kOuter };

// Where element (row, column) of a matrix in shared memory lies; `column` is a multiple of 8. The eights of a row are
// permuted so that the same eight of eight rows lies in eight different parts of the banks.
template <int kRowElements>
__device__ __forceinline__ int Swizzled(int row, int column) {
  static_assert(kRowElements == 32 || kRowElements % 64 == 0);
  const int by = kRowElements == 32 ? row / 2 % 4 : row % 8;
  return row * kRowElements + (column / 8 ^ by) * 8;
}

// Lanes name rows of four 8 × 8 matrices: 0 and 1 differ by `middle`, 0 and 2 by `upper`.
struct MatrixRows {
  int row, middle, upper;
};
__device__ __forceinline__ MatrixRows OwnMatrixRow() {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  return {lane % 8, lane / 8 % 2 * 8, lane / 16 * 8};
}

// 16 × 16 of a left factor, from `outer` and `k` on. The matrix begins at `base`, as [outer][k] along the depth, else as
// [k][outer].
template <Along kAlong, int kRowElements, typename Array>
__device__ __forceinline__ void LeftFragment(Array& shared, int base, int outer, int k, uint32_t (&to)[4]) {
  const MatrixRows own = OwnMatrixRow();
  outer += own.middle, k += own.upper;
  const int at = kAlong == Along::kDepth ? Swizzled<kRowElements>(outer + own.row, k) : Swizzled<kRowElements>(k + own.row, outer);
  LoadMatrices<kAlong == Along::kOuter>(shared, base + at, to);
}

// The same of a right factor: to[0] and to[1] are the fragment of its first 8 columns, to[2] and to[3] of the other 8.
template <Along kAlong, int kRowElements, typename Array>
__device__ __forceinline__ void RightFragments(Array& shared, int base, int outer, int k, uint32_t (&to)[4]) {
  const MatrixRows own = OwnMatrixRow();
  outer += own.upper, k += own.middle;
  const int at = kAlong == Along::kDepth ? Swizzled<kRowElements>(outer + own.row, k) : Swizzled<kRowElements>(k + own.row, outer);
  LoadMatrices<kAlong == Along::kOuter>(shared, base + at, to);
}

}  // namespace lema::cuda
