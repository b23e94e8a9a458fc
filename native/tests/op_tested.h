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
// For the first line of the report.
std::string TestedName();

}  // namespace lema::test
