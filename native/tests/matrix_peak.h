// The yardstick of the benches: the rate of oneDNN's own matrix product, threaded by oneDNN.
#pragma once

#include "core/tensor.h"

namespace lema::test {

// GFLOP/s of a [rows, depth] · [depth, columns] product in `dtype` with an f32 result.
double MatrixPeak(DType dtype, int64_t rows, int64_t columns, int64_t depth);

}  // namespace lema::test
