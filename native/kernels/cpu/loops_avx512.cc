#if defined(__x86_64__)
#include "kernels/cpu/loops_body.h"

namespace lema::cpu {

const Loops& Avx512Loops() {
  static const Loops loops = avx512::MakeLoops("avx512");
  return loops;
}

}  // namespace lema::cpu
#endif
