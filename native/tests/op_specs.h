// What to try for each op: sizes of its symbols (in order of appearance) and attribute values, and how to make its
// integers and state meaningful.
#pragma once

#include <vector>

#include "op_case.h"

namespace lema::test {

struct OpSpec {
  Op op;
  std::vector<std::vector<int64_t>> sizes;       // the first has few elements: every dtype combination runs there
  std::vector<std::vector<double>> attributes;
  double tolerance;                              // of f32 results, relative to the largest
  double bf16_tolerance;                         // where an operand is bf16
  double f16_tolerance = 0;                      // where factors are rounded to f16
  double bf16_factors_tolerance = 0;             // where what a kernel computes between two products is rounded to bf16
};

const std::vector<OpSpec>& Specs();

// Tokens, labels, segments, statistics of a forward call: what random numbers cannot stand for.
void Specialize(OpCase& made);

}  // namespace lema::test
