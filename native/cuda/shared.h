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

}  // namespace lema::cuda
