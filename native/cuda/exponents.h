// Factors scaled into the range of f16, exactly: each row of a left factor and each column of a right one (of one sequence)
// by a power of two of its own, so that its largest magnitude lies in [2^14, 2^15). Gradients may be anything that f32
// holds; scaled and rounded, an element is off by at most 2^-11 of itself, or 2^-39 of that largest. The sums are scaled
// back in two exact steps. Infinities and NaN stay what they are, and all that they are summed with becomes so too.
//
// Factors that are f16 already are taken as they are, without a look at them.
#pragma once

#include "cuda/factor.h"
#include "cuda/launch.h"

namespace lema::cuda {

// An exponent is a byte b: the biased one of f32 that the largest magnitude has; the factor is scaled by 2^(141 - b).
// Below the least, all that f32 holds is a multiple of f16's smallest number when it is scaled by the least's.
inline constexpr int kUnscaledExponent = 141, kLeastExponent = 15;

__device__ __forceinline__ float ScaleOf(int exponent) { return __uint_as_float(static_cast<uint32_t>(268 - exponent) << 23); }

// 2^power, for a normal number.
__device__ __forceinline__ float PowerOfTwo(int power) { return __uint_as_float(static_cast<uint32_t>(127 + power) << 23); }

// Of row or column `outer` of the factor in sequence `batch`.
__device__ __forceinline__ int ExponentOf(const uint8_t* exponents, int64_t outers, int64_t batch, int64_t outer) {
  return exponents == nullptr ? kUnscaledExponent : exponents[batch * outers + outer];
}

// A result of scaled factors: scales back, and goes on to `result`. Two steps in the same direction, so that nothing in
// between leaves the range before the end does.
template <typename Result>
struct UnscaledResult {
  const Result& result;
  const ProductShape& shape;
  const uint8_t *rows, *columns;
  int64_t batch;

  __device__ __forceinline__ void Store(int64_t row, int64_t column, int64_t count, const float (&sums)[4]) const {
    const int of_row = ExponentOf(rows, shape.rows, batch, row) - 2 * kUnscaledExponent;
    float four[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int power = e < count ? of_row + ExponentOf(columns, shape.columns, batch, column + e) : 0;
      four[e] = __fmul_rn(__fmul_rn(sums[e], PowerOfTwo(power / 2)), PowerOfTwo(power - power / 2));
    }
    result.Store(row, column, count, four);
  }
};

__device__ __forceinline__ int LargerExponent(int largest, float value) {
  const int exponent = static_cast<int>(__float_as_uint(value) >> 23 & 0xffu);
  return exponent > largest ? exponent : largest;
}

inline constexpr int kExponentThreads = 256;

// to[batch, outer], for every outer of the factor: along the depth a warp each, else a block for kWarp of them.
template <Along kAlong>
__global__ void __launch_bounds__(kExponentThreads) ExponentKernel(Factor factor, int64_t outers, int64_t depth, uint8_t* to) {
  const int64_t batch = blockIdx.y;
  to += batch * outers;
  const int thread = static_cast<int>(threadIdx.x);
  int largest = kLeastExponent;
  float values[4];
  if constexpr (kAlong == Along::kDepth) {
    const int64_t outer = static_cast<int64_t>(blockIdx.x) * (kExponentThreads / kWarp) + thread / kWarp;
    if (outer >= outers) return;
    const int64_t row = batch * factor.batch + outer * factor.stride;
    for (int64_t k = thread % kWarp * 4; k < depth; k += kWarp * 4) {
      LoadFour(factor.elements, row + k, depth - k, values);
#pragma unroll
      for (int e = 0; e < 4; ++e) largest = LargerExponent(largest, values[e]);
    }
    largest = MaximumOfLanes<kWarp>(largest);
    if (thread % kWarp == 0) to[outer] = static_cast<uint8_t>(largest);
  } else {
    struct OfBlock {
      SharedArray<int, kExponentThreads * 4> largest;  // [depth lane][outer]
    };
    OfBlock& shared = Shared<OfBlock>();
    constexpr int kFours = kWarp / 4, kLanes = kExponentThreads / kFours;
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kWarp, outer = first + thread % kFours * 4;
    int own[4] = {largest, largest, largest, largest};
    for (int64_t k = thread / kFours; k < depth && outer < outers; k += kLanes) {
      LoadFour(factor.elements, batch * factor.batch + k * factor.stride + outer, outers - outer, values);
#pragma unroll
      for (int e = 0; e < 4; ++e) own[e] = LargerExponent(own[e], values[e]);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) shared.largest[thread / kFours * kWarp + thread % kFours * 4 + e] = own[e];
    __syncthreads();
    if (thread >= kWarp || first + thread >= outers) return;
    for (int lane = 0; lane < kLanes; ++lane) {
      const int other = shared.largest[lane * kWarp + thread];
      largest = other > largest ? other : largest;
    }
    to[first + thread] = static_cast<uint8_t>(largest);
  }
}

// Bytes that the exponents of a factor take.
constexpr size_t ExponentBytes(DType stored, int64_t outers, int64_t batches) {
  return stored == DType::kF16 ? 0 : static_cast<size_t>(outers * batches);
}

// Finds the exponents of a factor that has none yet and needs them, from *workspace on, and moves that on.
template <Along kAlong>
Status FindExponents(Factor* factor, int64_t outers, const ProductShape& shape, std::byte** workspace, const LaunchContext& context) {
  if (factor->exponents != nullptr || factor->elements.dtype == DType::kF16) return Status::Ok();
  uint8_t* const to = reinterpret_cast<uint8_t*>(*workspace);
  *workspace += ExponentBytes(factor->elements.dtype, outers, shape.batches);
  factor->exponents = to;
  const dim3 grid{Blocks(outers, kAlong == Along::kDepth ? kExponentThreads / kWarp : kWarp), static_cast<unsigned>(shape.batches), 1};
  return Launch(ExponentKernel<kAlong>, grid, kExponentThreads, context, *factor, outers, shape.depth, to);
}

}  // namespace lema::cuda
