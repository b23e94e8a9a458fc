// Runs the blocks of a kernel, one after another, on the calling thread: the threads of a block are fibers that take
// turns, switched at barriers and warp operations.
#pragma once

#include <functional>
#include <string>

#include "cuda_runtime.h"

namespace lema::emulation {

// What went wrong, or empty.
std::string RunKernel(dim3 grid, dim3 block, const std::function<void()>& body);

}  // namespace lema::emulation
