#include "core/text.h"
#include "kernels/cpu/loops.h"
#include "op_tested.h"

namespace lema::test {

const std::array<Kernel, kOpCount>& TestedKernels() { return kCpuKernels; }

std::span<const int> TestedThreads() {
  static constexpr int kThreads[] = {1, 2, 3};
  return kThreads;
}

bool TestedRoundsToF16() { return false; }
bool TestedRoundsProbabilities(int64_t) { return false; }

std::string TestedName() { return Cat("instruction set: ", cpu::ActiveLoops().name); }

}  // namespace lema::test
