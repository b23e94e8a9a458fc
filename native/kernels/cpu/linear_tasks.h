// What the three linear kernels share: how a product is cut into tasks. No cut changes a bit (see loops.h), so tasks are
// chosen for the caches: a packed part of the right factor stays in the second one while the rows pass by.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace lema::cpu {

class LinearTasks {
 public:
  LinearTasks(int64_t rows, int64_t columns, int64_t depth, DType compute, int32_t row_tile, int32_t column_tile)
      : rows_(rows),
        columns_(columns),
        depth_(depth),
        compute_(compute),
        column_part_(std::min<int64_t>({columns, column_tile, 128})),
        row_step_(std::min<int64_t>({rows, row_tile, 112})),
        // Few columns (the low-rank branch): the rows are shared out too.
        row_part_(Parts(columns, column_part_) >= 8 ? rows : row_step_) {}

  // Of one thread.
  size_t ScratchBytes() const { return RightBytes() + ActiveLoops().packed_bytes(row_step_, depth_, compute_) + 64; }

  // body(part) for every part of the result; `part` has its rows, columns and scratch.
  struct Part {
    int64_t first_row, rows;
    int64_t first_column, columns;
    void* right;  // for the packed right factor
    void* left;
  };
  template <typename Body>
  void ForParts(KernelContext& context, const Body& body) const {
    const int64_t row_parts = Parts(rows_, row_part_);
    const size_t scratch = ScratchBytes();
    context.runner.ParallelFor(Parts(columns_, column_part_) * row_parts, [&](int64_t i, int thread) {
      const int64_t row = i % row_parts * row_part_;
      const int64_t column = i / row_parts * column_part_;
      std::byte* const own = context.workspace.data + static_cast<size_t>(thread) * scratch;
      body(Part{row, std::min(row_part_, rows_ - row), column, std::min(column_part_, columns_ - column), own,
                own + RightBytes()});
    });
  }

  // result rows of a part, a step of rows at a time; `left` begins at the part's first row, `result` at its corner.
  void Multiply(const Part& part, const Factor& left, const Result& result) const {
    for (int64_t row = 0; row < part.rows; row += row_step_) {
      const Factor rows{Advance(left.data, left.dtype, row * left.outer), left.dtype, left.outer, left.inner};
      Result to = result;
      to.data = const_cast<void*>(Advance(result.data, result.dtype, row * result.stride));
      ActiveLoops().product(rows, part.right, std::min(row_step_, part.rows - row), part.columns, depth_, compute_, to,
                            part.left);
    }
  }

  void PackRight(const Part& part, const Factor& right) const {
    const Factor columns{Advance(right.data, right.dtype, part.first_column * right.outer), right.dtype, right.outer,
                         right.inner};
    ActiveLoops().pack_columns(columns, part.columns, depth_, compute_, part.right);
  }

 private:
  static int64_t Parts(int64_t count, int64_t part) { return (count + part - 1) / part; }
  static const void* Advance(const void* data, DType dtype, int64_t elements) {
    return static_cast<const char*>(data) + elements * static_cast<int64_t>(SizeOf(dtype));
  }
  size_t RightBytes() const { return ActiveLoops().packed_bytes(column_part_, depth_, compute_); }

  int64_t rows_, columns_, depth_;
  DType compute_;
  int64_t column_part_, row_step_, row_part_;
};

}  // namespace lema::cpu
