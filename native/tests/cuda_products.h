// What the tests of single products share.
#pragma once

#include <cstdint>
#include <string>

#include "core/text.h"
#include "cuda/fragments.h"
#include "device_elements.h"

namespace lema::test {

struct Sizes {
  int64_t rows, columns, depth, batches;
};

inline cuda::Elements ElementsOf(const DeviceElements& of) { return {of.data(), of.dtype()}; }

inline int64_t At(const Sizes& sizes, cuda::Along along, int64_t outers, int64_t batch, int64_t i, int64_t k) {
  const int64_t of_batch = batch * outers * sizes.depth;
  return of_batch + (along == cuda::Along::kDepth ? i * sizes.depth + k : k * outers + i);
}

inline const char* NameOfAxis(cuda::Along along) { return along == cuda::Along::kDepth ? "depth" : "outer"; }

inline const char* NameOf(DType dtype) { return dtype == DType::kF32 ? "f32" : dtype == DType::kBF16 ? "bf16" : "f16"; }

inline std::string NameOf(const Sizes& sizes, cuda::Along left, cuda::Along right) {
  return Cat(sizes.rows, "x", sizes.columns, "x", sizes.depth, " of ", sizes.batches, ", along ", NameOfAxis(left), " and ", NameOfAxis(right));
}

}  // namespace lema::test
