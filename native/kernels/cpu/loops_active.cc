#include "kernels/cpu/loops.h"

namespace lema::cpu {
namespace {

const Loops& Choose() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Avx512Bf16Loops();
  if (avx512) return Avx512Loops();
  if (avx2) return Avx2Loops();
#endif
  return GenericLoops();
}

}  // namespace

const Loops& ActiveLoops() {
  static const Loops& active = Choose();
  return active;
}

}  // namespace lema::cpu
