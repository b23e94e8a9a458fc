#if defined(__x86_64__)
#include "kernels/cpu/loops_body.h"

namespace lema::cpu {

const Loops& Avx2Loops() {
  static const Loops loops = avx2::MakeLoops("avx2");
  return loops;
}

}  // namespace lema::cpu
#endif
