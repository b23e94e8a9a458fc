#if defined(__x86_64__)
#include "kernels/cpu/loops_body.h"

namespace lema::cpu {

const Loops& Avx512Bf16Loops() {
  static const Loops loops = avx512bf16::MakeLoops("avx512bf16");
  return loops;
}

}  // namespace lema::cpu
#endif
