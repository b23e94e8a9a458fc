#include "kernels/cpu/loops.h"

// Builds for tests of other processors set a limit: 0 generic, 1 AVX2, 2 AVX-512, 3 AVX512-BF16 where it is faster,
// 4 AVX512-BF16 wherever it exists.
#ifndef LEMA_INSTRUCTION_SET_LIMIT
#define LEMA_INSTRUCTION_SET_LIMIT 3
#endif

namespace lema::cpu {
namespace {

const Loops& Choose() {
#if defined(__x86_64__)
  constexpr int kLimit = LEMA_INSTRUCTION_SET_LIMIT;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  // Intel's processors sum bf16 pairs at half the rate of f32 multiply-adds; there bf16 is widened when it is packed.
  const bool fast_pairs = kLimit >= 4 || !__builtin_cpu_is("intel");
  if (kLimit >= 3 && fast_pairs && avx512 && __builtin_cpu_supports("avx512bf16")) return Avx512Bf16Loops();
  if (kLimit >= 2 && avx512) return Avx512Loops();
  if (kLimit >= 1 && avx2) return Avx2Loops();
#endif
  return GenericLoops();
}

}  // namespace

const Loops& ActiveLoops() {
  static const Loops& active = Choose();
  return active;
}

}  // namespace lema::cpu
