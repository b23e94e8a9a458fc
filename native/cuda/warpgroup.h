// Hopper's matrix instructions: four neighbouring warps, a warpgroup, multiply 64 rows by factors in shared memory, and go on
// while the units work (PTX ISA 9.7.15). They exist in code for sm_90a alone.
//
// A factor in shared memory lies in panels of 64 columns, 128 bytes, one row after the other, whose eights are permuted
// (PanelAt); a panel begins on 1,024 bytes. It is read along its columns (16 of depth side by side) or along its rows (16
// rows of depth, the outer axis side by side): the canonical layouts of 128-byte swizzling (9.7.15.5.1.2.1.3). Registers
// of a left factor and of sums are those of mma.m16n8k16 (tensor_core.h), a warp for 16 rows.
//
// On the device inline PTX; emulation/warpgroup.h is the other version.
#pragma once

#include "cuda/fragments.h"

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define LEMA_WARPGROUPS 1
#else
#define LEMA_WARPGROUPS 0
#endif

namespace lema::cuda {

inline constexpr int kWarpgroup = 4 * kWarp;
inline constexpr int kWarpgroupRows = 64;
inline constexpr int kPanelColumns = 64;
inline constexpr int kPanelBytes = 2 * kPanelColumns;  // of a row
inline constexpr int kPanelAlignment = 1024;

// Where element (row, column) of a matrix of kRows rows lies, of the first; `column` is a multiple of 8.
template <int kRows>
struct Panels {
  static_assert(kRows % 8 == 0);
  static constexpr int kRowElements = kPanelColumns;
  __device__ __forceinline__ static int At(int row, int column) {
    return column / kPanelColumns * (kRows * kPanelColumns) + row * kPanelColumns + ((column % kPanelColumns / 8) ^ row % 8) * 8;
  }
  // Where 16 columns from `column` on begin in row 0: what an instruction is given.
  __device__ __forceinline__ static constexpr int Columns(int column) {
    return column / kPanelColumns * (kRows * kPanelColumns) + column % kPanelColumns;
  }
};

}  // namespace lema::cuda

#if !defined(__CUDACC__)
#include "cuda/emulation/warpgroup.h"
#elif LEMA_WARPGROUPS

namespace lema::cuda {

// What the instructions are told of a factor that begins at `at` (9.7.15.5.1.2.2): where, how far apart panels are where
// the instruction spans several, 1,024 bytes from eight rows to the next, 128-byte swizzling.
template <typename Array>
__device__ __forceinline__ uint64_t MatrixDescriptor(Array& shared, int at, int panel_rows) {
  const uint64_t address = SharedAddress(&shared[at]) >> 4, apart = static_cast<uint64_t>(panel_rows * kPanelBytes) >> 4;
  return address | apart << 16 | uint64_t{kPanelAlignment >> 4} << 32 | uint64_t{1} << 62;
}

// Nothing that the compiler does to these sums moves across this place.
template <int kCount>
__device__ __forceinline__ void Settle(float (&sums)[kCount][4]) {
#pragma unroll
  for (int j = 0; j < kCount; ++j) asm volatile("" : "+f"(sums[j][0]), "+f"(sums[j][1]), "+f"(sums[j][2]), "+f"(sums[j][3])::"memory");
}

// Registers written before are seen by the products behind.
__device__ __forceinline__ void BeginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Products since the last call are a group.
__device__ __forceinline__ void CommitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until all but the last kPending groups are done; sums and factors are the products' until then.
template <int kPending>
__device__ __forceinline__ void AwaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
__device__ __forceinline__ int SmallestOfWarp(int value) { return __reduce_min_sync(0xffffffffu, value); }
__device__ __forceinline__ int LargestOfWarp(int value) { return __reduce_max_sync(0xffffffffu, value); }

// What this thread has written to shared memory, and copies that it has awaited, are seen by products behind the next barrier.
__device__ __forceinline__ void ShowToProducts() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#define LEMA_FOUR(d, j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define LEMA_32_SUMS(d, j)                                                                                               \
  LEMA_FOUR(d, j), LEMA_FOUR(d, j + 1), LEMA_FOUR(d, j + 2), LEMA_FOUR(d, j + 3), LEMA_FOUR(d, j + 4), LEMA_FOUR(d, j + 5), \
      LEMA_FOUR(d, j + 6), LEMA_FOUR(d, j + 7)
#define LEMA_FIRST_32 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define LEMA_NEXT_32 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"

// d += left · right over 16 of depth, 64 rows by 64 columns: both in shared memory, read along their columns, from these
// descriptors on. Asynchronous.
__device__ __forceinline__ void MultiplyShared(float (&d)[8][4], uint64_t left, uint64_t right) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" LEMA_FIRST_32 "}, %32, %33, 1, 1, 1, 0, 0;"
               : LEMA_32_SUMS(d, 0)
               : "l"(left), "l"(right));
}

// The same with 16 rows of the left factor in each warp's registers, and the right one read along its rows.
__device__ __forceinline__ void MultiplyRows(float (&d)[8][4], const uint32_t (&left)[4], uint64_t right) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" LEMA_FIRST_32 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
               : LEMA_32_SUMS(d, 0)
               : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));
}
__device__ __forceinline__ void MultiplyRows(float (&d)[16][4], const uint32_t (&left)[4], uint64_t right) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" LEMA_FIRST_32 "," LEMA_NEXT_32 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
               : LEMA_32_SUMS(d, 0), LEMA_32_SUMS(d, 8)
               : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));
}

#undef LEMA_FOUR
#undef LEMA_32_SUMS
#undef LEMA_FIRST_32
#undef LEMA_NEXT_32

}  // namespace lema::cuda

#endif
