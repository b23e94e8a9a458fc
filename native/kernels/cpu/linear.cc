// y (+)= alpha · x · wᵀ.
#include "generated/ops.h"
#include "kernels/cpu/linear_tasks.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

LinearTasks TasksOf(const LinearArgs& a) {
  return {a.x.dim[0] * a.x.dim[1], a.w.dim[0], a.w.dim[1], a.x.dtype, a.row_tile, a.column_tile};
}

}  // namespace

Status PrepareLinear(const LinearArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckTiles(a.row_tile, a.column_tile));
  preparation->workspace_bytes = static_cast<size_t>(threads) * TasksOf(a).ScratchBytes();
  return Status::Ok();
}

Status Linear(const LinearArgs& a, PreparedCall*, KernelContext& context) {
  const LinearTasks tasks = TasksOf(a);
  const int64_t columns = a.w.dim[0], depth = a.w.dim[1];
  tasks.ForParts(context, [&](const LinearTasks::Part& part) {
    tasks.PackRight(part, {a.w.data, a.w.dtype, depth, 1});
    tasks.Multiply(part, {At(a.x, part.first_row * depth), a.x.dtype, depth, 1},
                   {At(a.y, part.first_row * columns + part.first_column), a.y.dtype, columns, a.y_accumulate, a.alpha});
  });
  return Status::Ok();
}

}  // namespace lema::cpu
