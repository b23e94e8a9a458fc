// Which kernel computes a matrix product.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "cuda/capability.h"

namespace lema::cuda {

enum class ProductPath {
  kTensor128x128, kTensor64x64, kTensor32x32,
  kF16Tensor128x128, kF16Tensor64x64, kF16Tensor32x32,
  kSimt128x128, kSimt128x16, kSimt16x128,
};

// With the depth of a LoRA rank there is one step and nothing to overlap it with: multiply-adds are done sooner.
inline constexpr int64_t kShallow = 32;

// Whether a product rounds its factors to f16: where tensor cores have that and not bf16.
constexpr bool MultipliesF16(int64_t depth, DType compute, int capability) {
  return compute == DType::kF16 && capability >= kF16TensorCoreCapability && capability < kTensorCoreCapability && depth > kShallow;
}

// Whether a product runs on tensor cores changes its bits, and depends on nothing that a plan may choose; the tile
// changes none, and is a matter of speed alone: a small one where few large ones would leave multiprocessors idle, or
// where a factor cannot be `copied` and comes through registers that the large one does not have. In f16 every factor does.
constexpr ProductPath ProductPathOf(int64_t rows, int64_t columns, int64_t depth, bool copied, DType compute, int capability) {
  constexpr int64_t kNarrow = 32, kLargeTiles = 128;
  if (compute == DType::kBF16 && capability >= kTensorCoreCapability && depth > kShallow) {
    if (rows <= kNarrow || columns <= kNarrow) return ProductPath::kTensor32x32;
    const int64_t large = (rows + 127) / 128 * ((columns + 127) / 128);
    return copied && large >= kLargeTiles ? ProductPath::kTensor128x128 : ProductPath::kTensor64x64;
  }
  if (MultipliesF16(depth, compute, capability)) {
    constexpr int64_t kLargeF16Tiles = 80;  // two for each multiprocessor of a T4
    if (rows <= kNarrow || columns <= kNarrow) return ProductPath::kF16Tensor32x32;
    const int64_t large = (rows + 127) / 128 * ((columns + 127) / 128);
    return large >= kLargeF16Tiles ? ProductPath::kF16Tensor128x128 : ProductPath::kF16Tensor64x64;
  }
  if (columns <= kNarrow) return ProductPath::kSimt128x16;
  return rows <= kNarrow ? ProductPath::kSimt16x128 : ProductPath::kSimt128x128;
}

constexpr const char* NameOf(ProductPath path) {
  switch (path) {
    case ProductPath::kTensor128x128: return "tensor 128x128";
    case ProductPath::kTensor64x64: return "tensor 64x64";
    case ProductPath::kTensor32x32: return "tensor 32x32";
    case ProductPath::kF16Tensor128x128: return "f16 tensor 128x128";
    case ProductPath::kF16Tensor64x64: return "f16 tensor 64x64";
    case ProductPath::kF16Tensor32x32: return "f16 tensor 32x32";
    case ProductPath::kSimt128x128: return "simt 128x128";
    case ProductPath::kSimt128x16: return "simt 128x16";
    case ProductPath::kSimt16x128: return "simt 16x128";
  }
  return "";
}

}  // namespace lema::cuda
