#include "kernels/cpu/loops_body.h"

namespace lema::cpu {

const Loops& GenericLoops() {
  static const Loops loops = generic::MakeLoops("generic");
  return loops;
}

}  // namespace lema::cpu
