// dw += alpha · Σ_b dy[b]ᵀ · x[b]: each part of dw takes the sequences one after the other.
#include "generated/ops.h"
#include "kernels/cpu/linear_tasks.h"
#include "kernels/preconditions.h"

namespace lema::cpu {
namespace {

LinearTasks TasksOf(const LinearGradWeightArgs& a) {
  return {a.dw.dim[0], a.dw.dim[1], a.dy.dim[1], a.dy.dtype, a.row_tile, a.column_tile};
}

}  // namespace

Status PrepareLinearGradWeight(const LinearGradWeightArgs& a, int threads, Preparation* preparation) {
  LEMA_RETURN_IF_ERROR(CheckProduct(a.row_tile, a.column_tile, a.f16_factors));
  preparation->workspace_bytes = static_cast<size_t>(threads) * TasksOf(a).ScratchBytes();
  return Status::Ok();
}

Status LinearGradWeight(const LinearGradWeightArgs& a, PreparedCall*, KernelContext& context) {
  const LinearTasks tasks = TasksOf(a);
  const int64_t length = a.dy.dim[1], rows = a.dw.dim[0], columns = a.dw.dim[1];
  tasks.ForParts(context, [&](const LinearTasks::Part& part) {
    for (int64_t b = 0; b < a.dy.dim[0]; ++b) {
      tasks.PackRight(part, {At(a.x, b * length * columns), a.x.dtype, 1, columns});
      tasks.Multiply(part, {At(a.dy, b * length * rows + part.first_row), a.dy.dtype, 1, rows},
                     {At(a.dw, part.first_row * columns + part.first_column), a.dw.dtype, columns, true, a.alpha});
    }
  });
  return Status::Ok();
}

}  // namespace lema::cpu
