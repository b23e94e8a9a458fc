// One call of an op with memory of its own, built from the op table's metadata: sizes for the symbols, a dtype for each
// operand, random contents. Copies are deep, so that a call can be repeated from the same start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generated/ops.h"

namespace lema::test {

// Counter-based: the same everywhere, and independent of the order of drawing.
double Uniform(uint64_t seed, uint64_t index);  // in [−1, 1)

struct Buffer {
  std::vector<std::byte> bytes;
  size_t offset = 0;  // of the first element
  std::byte* data() { return bytes.data() + offset; }
};

struct OpCase {
  Op op;
  std::string name;
  std::vector<int64_t> sizes;  // by symbol
  CallRecord call;
  std::vector<Buffer> memory;

  const OpInfo& info() const { return kOps[static_cast<size_t>(op)]; }
  TensorView& view(const char* operand);
  const TensorView& view(const char* operand) const;
  int Index(const char* operand) const;
  // Points the call's views at this case's own memory, `misalignment` elements past a cache line.
  void Bind(size_t misalignment = 0);
};

struct CaseOptions {
  std::vector<DType> dtypes;       // by operand
  std::vector<double> attributes;  // by attribute
  bool accumulate = false;
  bool optional = true;
  uint64_t seed = 1;
};

// Floating-point operands are uniform in [−1, 1); integers and state that must make sense are set by `Specialize`.
OpCase MakeCase(Op op, std::vector<int64_t> sizes, const CaseOptions& options);

// A copy with every floating-point operand in f64, for finite differences of the reference kernels.
OpCase InDouble(const OpCase& from);

// Sequence `b` of a batch: every operand whose first dimension is `B` is cut, the others are copied.
OpCase OneSequence(const OpCase& from, int64_t b);
bool HasBatch(const OpCase& from, size_t operand);

// Runs a call with exactly the workspace it asked for, filled with NaN and followed by a guard. A message, or empty.
std::string RunCase(OpCase& call, const std::array<Kernel, kOpCount>& kernels, TaskRunner& runner);

}  // namespace lema::test
