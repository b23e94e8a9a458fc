// y (+)= alpha · x · wᵀ.
#include "generated/ops.h"
#include "kernels/cpu/linear_tasks.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

// Weights of one task: fewer would cost less than handing them out; and whole vectors of columns.
constexpr int64_t kFewRowsElements = 32768;
constexpr int64_t kFewRowsColumns = 64;

LinearTasks TasksOf(const LinearArgs& a) {
  return {a.x.dim[0] * a.x.dim[1], a.w.dim[0], a.w.dim[1], a.x.dtype, a.row_tile, a.column_tile};
}

// A few rows pass over the weight once, as it stands: what is shared out are its columns.
void FewRows(const LinearArgs& a, int64_t rows, const LinearTasks& tasks, KernelContext& context) {
  const int64_t columns = a.w.dim[0], depth = a.w.dim[1];
  const int64_t part = std::max<int64_t>(kFewRowsColumns, kFewRowsElements / depth / kFewRowsColumns * kFewRowsColumns);
  context.runner.ParallelFor((columns + part - 1) / part, [&](int64_t i, int thread) {
    const int64_t first = i * part;
    const Factor left{a.x.data, a.x.dtype, depth, 1}, right{At(a.w, first * depth), a.w.dtype, depth, 1};
    const Result result{At(a.y, first), a.y.dtype, columns, a.y_accumulate, a.alpha};
    std::byte* const scratch = context.workspace.data + static_cast<size_t>(thread) * tasks.ScratchBytes();
    ActiveLoops().product_of_few_rows(left, right, rows, std::min(part, columns - first), depth, a.x.dtype, result, scratch);
  });
}

}  // namespace

Status PrepareLinear(const LinearArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckProduct(a.row_tile, a.column_tile, a.f16_factors));
  preparation->workspace_bytes = static_cast<size_t>(threads) * TasksOf(a).ScratchBytes();
  return Status::Ok();
}

Status Linear(const LinearArgs& a, PreparedCall*, KernelContext& context) {
  const LinearTasks tasks = TasksOf(a);
  const int64_t rows = a.x.dim[0] * a.x.dim[1], columns = a.w.dim[0], depth = a.w.dim[1];
  if (rows <= kFewRows) {
    FewRows(a, rows, tasks, context);
    return Status::Ok();
  }
  tasks.ForParts(context, [&](const LinearTasks::Part& part) {
    tasks.PackRight(part, {a.w.data, a.w.dtype, depth, 1});
    tasks.Multiply(part, {At(a.x, part.first_row * depth), a.x.dtype, depth, 1},
                   {At(a.y, part.first_row * columns + part.first_column), a.y.dtype, columns, a.y_accumulate, a.alpha});
  });
  return Status::Ok();
}

}  // namespace lema::cpu
