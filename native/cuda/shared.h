// Shared memory of a block by type, as nvcc sees it. emulation/shared.h is the other version, which watches accesses.
#pragma once

namespace lema::cuda {

template <typename T, int kCount>
struct SharedArray {
  T values[kCount];
  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
  // Four neighbours; `i` is a multiple of four and the array begins on 16 bytes.
  __device__ __forceinline__ void Get(int i, T (&to)[4]) const {
    const float4 loaded = *reinterpret_cast<const float4*>(values + i);
    to[0] = loaded.x, to[1] = loaded.y, to[2] = loaded.z, to[3] = loaded.w;
  }
};

// One object a type and block, not initialised.
template <typename T>
__device__ __forceinline__ T& Shared() {
  __shared__ alignas(16) unsigned char bytes[sizeof(T)];
  return *reinterpret_cast<T*>(bytes);
}

// The same of more than 48 KiB, which LaunchWide asks for; no other shared memory beside it, so that it begins where the
// block's does, on 1,024 bytes.
template <typename T>
__device__ __forceinline__ T& WideShared() {
  extern __shared__ __align__(1024) unsigned char wide_shared[];
  return *reinterpret_cast<T*>(wide_shared);
}

}  // namespace lema::cuda
