// A typed, dense, row-major view of arena bytes. Views own nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lema {

enum class DType : int32_t { kF32 = 0, kBF16 = 1, kF16 = 2, kF64 = 3, kI32 = 4 };

constexpr size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF64: return 8;
    case DType::kBF16:
    case DType::kF16: return 2;
    default: return 4;
  }
}

constexpr int kMaxRank = 4;

struct TensorView {
  void* data = nullptr;  // null while a call is prepared
  DType dtype = DType::kF32;
  int32_t rank = 0;  // 0: the operand is absent
  int64_t dim[kMaxRank] = {1, 1, 1, 1};

  template <typename T>
  T* as() const { return static_cast<T*>(data); }
  bool present() const { return rank != 0; }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dim[i];
    return n;
  }
  size_t bytes() const { return static_cast<size_t>(elements()) * SizeOf(dtype); }
};

}  // namespace lema
