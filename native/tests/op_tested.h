// Which kernels an op suite tests: each executable links one of op_tested_*.cc.
#pragma once

#include <array>
#include <span>
#include <string>

#include "generated/ops.h"

namespace lema::test {

const std::array<Kernel, kOpCount>& TestedKernels();
// Of the runs that must agree in every bit; each also has its operands at another address.
std::span<const int> TestedThreads();
// Whether products round f32 factors to f16 where they may and it pays.
bool TestedRoundsToF16();
// Whether attention rounds probabilities and their gradients to bf16 where its operands are, for heads of `size`.
bool TestedRoundsProbabilities(int64_t size);
// For the first line of the report.
std::string TestedName();

}  // namespace lema::test
