// The warp's matrix instructions and asynchronous copies. Fragments as the PTX ISA lays them out (9.7.14.5.8, "Matrix
// Fragments for mma.m16n8k16 with floating point type"); with g = lane / 4 and t = lane % 4, each register of a and b
// holding two neighbours along k, the lower in the lower half:
//
//   a[0]: row g, k 2t      a[1]: row g + 8, k 2t      a[2]: row g, k 2t + 8      a[3]: row g + 8, k 2t + 8
//   b0: k 2t, column g     b1: k 2t + 8, column g
//   d[0], d[1]: row g, columns 2t and 2t + 1          d[2], d[3]: row g + 8
//
// m16n8k8 has the first half along k of both: a[0], a[1] and b0 (9.7.14.5.7).
//
// On the device inline PTX; emulation/tensor_core.h is the other version.
#pragma once

#include "cuda/device.h"

// Kernels that use what is here are empty for devices on which none of them is launched: in bf16, and with asynchronous
// copies, below kTensorCoreCapability; in f16 below kF16TensorCoreCapability, and where it is bf16's turn.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define LEMA_TENSOR_CORES 1
#else
#define LEMA_TENSOR_CORES 0
#endif
#if !defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 750 && __CUDA_ARCH__ < 800)
#define LEMA_F16_TENSOR_CORES 1
#else
#define LEMA_F16_TENSOR_CORES 0
#endif

#if !defined(__CUDACC__)
#include "cuda/emulation/tensor_core.h"
#else

namespace lema::cuda {

// Both rounded to f16, the first in the lower half.
__device__ __forceinline__ uint32_t PackF16(float first, float second) {
  const __half2 packed = __floats2half2_rn(first, second);
  return static_cast<uint32_t>(__half_as_ushort(__high2half(packed))) << 16 | __half_as_ushort(__low2half(packed));
}

// 2^x by the unit for it: off by 2⁻²² of itself at most, zero where it is below the smallest normal number.
__device__ __forceinline__ float PowerOfTwo(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

#if LEMA_TENSOR_CORES || LEMA_F16_TENSOR_CORES

__device__ __forceinline__ uint32_t SharedAddress(const void* at) { return static_cast<uint32_t>(__cvta_generic_to_shared(at)); }

// Four 8 × 8 matrices of 16-bit elements; lane l says where row l % 8 of matrix l / 8 begins, on 16 bytes. to[m] gets
// elements 2t and 2t + 1 of row g of matrix m; transposed, elements g of rows 2t and 2t + 1. (PTX ISA 9.7.14.5.15.)
template <bool kTransposed, typename Array>
__device__ __forceinline__ void LoadMatrices(Array& shared, int at, uint32_t (&to)[4]) {
  const uint32_t address = SharedAddress(&shared[at]);
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
  }
}

// 16 bytes to a multiple of 8 elements.
template <typename Array>
__device__ __forceinline__ void PutEight(Array& shared, int at, const uint32_t (&from)[4]) {
  *reinterpret_cast<uint4*>(&shared[at]) = make_uint4(from[0], from[1], from[2], from[3]);
}

template <typename Array>
__device__ __forceinline__ void GetEight(Array& shared, int at, uint32_t (&to)[4]) {
  const uint4 eight = *reinterpret_cast<const uint4*>(&shared[at]);
  to[0] = eight.x, to[1] = eight.y, to[2] = eight.z, to[3] = eight.w;
}

#endif

#if LEMA_F16_TENSOR_CORES

// d += a · b, 16 × 8 by 8 × 8.
__device__ __forceinline__ void MultiplyF16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(b));
}

#endif

#if LEMA_TENSOR_CORES

// d += a · b, 16 × 16 by 16 × 8.
__device__ __forceinline__ void MultiplyBf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Both rounded to bf16, the first in the lower half.
__device__ __forceinline__ uint32_t PackBf16(float first, float second) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
  return packed;
}

// 16 bytes on their way into shared memory, the first `bytes` from `from`, zeros behind; both addresses on 16 bytes.
template <typename Array>
__device__ __forceinline__ void CopyAsync(Array& shared, int at, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(&shared[at])), "l"(from), "r"(bytes) : "memory");
}

// The copies of this thread since the last call are a group.
__device__ __forceinline__ void CommitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Until all but the last kPending groups of this thread have arrived; other threads see them after a barrier.
template <int kPending>
__device__ __forceinline__ void AwaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

#else

// What is called outside of a template has to be declared for older devices too; no kernel there calls it.
__device__ __forceinline__ void MultiplyBf16(float (&)[4], const uint32_t (&)[4], uint32_t, uint32_t) {}
__device__ __forceinline__ uint32_t PackBf16(float, float) { return 0; }

#endif

}  // namespace lema::cuda

#endif
