// What every kernel file needs on the device: element types, conversions, shared memory, reductions in a fixed order.
// Compiled by nvcc, and by the host compiler against emulation/cuda_runtime.h.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor.h"
#include "cuda/capability.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include "cuda/shared.h"
#else
#include "cuda/emulation/shared.h"
#include "kernels/number.h"
#endif

namespace lema::cuda {

inline constexpr int kWarp = 32;

// Elements as arenas hold them.
struct BF16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

__device__ __forceinline__ float ToFloat(float value) { return value; }
#if defined(__CUDACC__)
__device__ __forceinline__ float ToFloat(BF16 value) { return __uint_as_float(static_cast<uint32_t>(value.bits) << 16); }
__device__ __forceinline__ float ToFloat(F16 value) { return __half2float(__ushort_as_half(value.bits)); }
__device__ __forceinline__ BF16 RoundToBf16(float value) { return {__bfloat16_as_ushort(__float2bfloat16_rn(value))}; }
#else
inline float ToFloat(BF16 value) { return FromBf16(value.bits); }
inline float ToFloat(F16 value) { return FromF16(value.bits); }
inline BF16 RoundToBf16(float value) { return {ToBf16(value)}; }
#endif

// What a value becomes when it is held as T; no op writes f16.
template <typename T>
__device__ __forceinline__ T FromFloat(float value);
template <>
__device__ __forceinline__ float FromFloat<float>(float value) { return value; }
template <>
__device__ __forceinline__ BF16 FromFloat<BF16>(float value) { return RoundToBf16(value); }

// `value` as a product in Compute sees it.
template <typename Compute, typename T>
__device__ __forceinline__ float As(T value) {
  return ToFloat(FromFloat<Compute>(ToFloat(value)));
}

// Elements of a dtype that is known at run time only: one kernel serves every dtype, and the branch, the same for all
// threads, costs little beside the access.
struct Elements {
  void* data;
  DType dtype;

  __device__ float operator[](int64_t i) const {
    switch (dtype) {
      case DType::kBF16: return ToFloat(static_cast<const BF16*>(data)[i]);
      case DType::kF16: return ToFloat(static_cast<const F16*>(data)[i]);
      default: return static_cast<const float*>(data)[i];
    }
  }
  __device__ void Store(int64_t i, float value) const {
    if (dtype == DType::kBF16) {
      static_cast<BF16*>(data)[i] = RoundToBf16(value);
    } else {
      static_cast<float*>(data)[i] = value;
    }
  }
};

inline Elements ElementsOf(const TensorView& view) { return {view.data, view.dtype}; }

// Elements from the i-th on.
inline Elements Advance(const Elements& elements, int64_t i) {
  return {static_cast<char*>(elements.data) + i * static_cast<int64_t>(SizeOf(elements.dtype)), elements.dtype};
}

// Four neighbours as one access where the address allows, else one by one: the same values. `count` of them exist.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T at[4];
};

template <typename T>
__device__ __forceinline__ bool IsAligned(const T* data, int64_t offset = 0) {
  return reinterpret_cast<uintptr_t>(data + offset) % sizeof(Four<T>) == 0;
}

// All four exist, at an address that IsAligned.
template <typename T>
__device__ __forceinline__ void LoadFour(const T* from, float (&to)[4]) {
  const Four<T> loaded = *reinterpret_cast<const Four<T>*>(from);
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = ToFloat(loaded.at[i]);
}

template <typename T>
__device__ __forceinline__ void StoreFour(T* to, const float (&from)[4]) {
  Four<T> stored;
#pragma unroll
  for (int i = 0; i < 4; ++i) stored.at[i] = FromFloat<T>(from[i]);
  *reinterpret_cast<Four<T>*>(to) = stored;
}

template <typename T>
__device__ __forceinline__ void LoadFour(const T* from, int64_t count, float (&to)[4]) {
  if (count >= 4 && IsAligned(from)) {
    LoadFour(from, to);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = i < count ? ToFloat(from[i]) : 0.0f;
  }
}

template <typename T>
__device__ __forceinline__ void StoreFour(T* to, int64_t count, const float (&from)[4]) {
  if (count >= 4 && IsAligned(to)) {
    StoreFour(to, from);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i < count) to[i] = FromFloat<T>(from[i]);
    }
  }
}

__device__ __forceinline__ void LoadFour(const Elements& from, int64_t i, int64_t count, float (&to)[4]) {
  switch (from.dtype) {
    case DType::kBF16: return LoadFour(static_cast<const BF16*>(from.data) + i, count, to);
    case DType::kF16: return LoadFour(static_cast<const F16*>(from.data) + i, count, to);
    default: return LoadFour(static_cast<const float*>(from.data) + i, count, to);
  }
}

__device__ __forceinline__ void StoreFour(const Elements& to, int64_t i, int64_t count, const float (&from)[4]) {
  if (to.dtype == DType::kBF16) return StoreFour(static_cast<BF16*>(to.data) + i, count, from);
  return StoreFour(static_cast<float*>(to.data) + i, count, from);
}

// The same value, but nothing of what follows from it is computed ahead of this place and kept in registers until then.
__device__ __forceinline__ int64_t NotAhead(int64_t value) {
#if defined(__CUDACC__)
  asm volatile("" : "+l"(value));
#endif
  return value;
}

// Over `kLanes` neighbouring lanes, in a tree that never changes; every lane gets the result.
template <int kLanes, typename T>
__device__ __forceinline__ T SumOfLanes(T value) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

template <int kLanes, typename T>
__device__ __forceinline__ T MaximumOfLanes(T value) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, value, step);
    value = value > other ? value : other;
  }
  return value;
}

// Over a block of kThreads threads; every thread gets the result. Every thread of the block calls it.
template <int kThreads, typename T>
struct BlockSum {
  SharedArray<T, kThreads / kWarp> of_warp;

  __device__ static T Of(T value) {
    BlockSum& shared = Shared<BlockSum>();
    const int thread = static_cast<int>(threadIdx.x);
    value = SumOfLanes<kWarp>(value);
    __syncthreads();  // the sums of an earlier call have been read
    if (thread % kWarp == 0) shared.of_warp[thread / kWarp] = value;
    __syncthreads();
    T total = shared.of_warp[0];
#pragma unroll
    for (int warp = 1; warp < kThreads / kWarp; ++warp) total += shared.of_warp[warp];
    return total;
  }
};

}  // namespace lema::cuda
