// x[b,s,:] = table[tokens[b,s],:].
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/preconditions.h"

namespace lema::cpu {

Status PrepareEmbedding(const EmbeddingArgs&, int, Preparation*) { return Status::Ok(); }

Status Embedding(const EmbeddingArgs& a, PreparedCall*, KernelContext& context) {
  const int64_t width = a.table.dim[1];
  LEMA_RETURN_IF_ERROR(CheckTokens(a.tokens, a.table.dim[0]));
  ForRows(context.runner, a.tokens.elements(), width, [&](int64_t row) {
    const int64_t token = a.tokens.as<const int32_t>()[row];
    ActiveLoops().convert(From(a.table, token * width), At(a.x, row * width), DType::kF32, false, width);
  });
  return Status::Ok();
}

}  // namespace lema::cpu
