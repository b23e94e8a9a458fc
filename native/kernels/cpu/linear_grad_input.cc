// dx (+)= alpha · dy · w.
#include "generated/ops.h"
#include "kernels/cpu/linear_tasks.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

LinearTasks TasksOf(const LinearGradInputArgs& a) {
  return {a.dy.dim[0] * a.dy.dim[1], a.w.dim[1], a.w.dim[0], a.dy.dtype, a.row_tile, a.column_tile};
}

}  // namespace

Status PrepareLinearGradInput(const LinearGradInputArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckProduct(a.row_tile, a.column_tile, a.f16_factors));
  preparation->workspace_bytes = static_cast<size_t>(threads) * TasksOf(a).ScratchBytes();
  return Status::Ok();
}

Status LinearGradInput(const LinearGradInputArgs& a, PreparedCall*, KernelContext& context) {
  const LinearTasks tasks = TasksOf(a);
  const int64_t columns = a.w.dim[1], depth = a.w.dim[0];
  tasks.ForParts(context, [&](const LinearTasks::Part& part) {
    tasks.PackRight(part, {a.w.data, a.w.dtype, 1, columns});
    tasks.Multiply(part, {At(a.dy, part.first_row * depth), a.dy.dtype, depth, 1},
                   {At(a.dx, part.first_row * columns + part.first_column), a.dx.dtype, columns, a.dx_accumulate,
                    a.alpha});
  });
  return Status::Ok();
}

}  // namespace lema::cpu
