// x[b,s,:] = table[tokens[b,s],:].
#include "generated/ops.h"
#include "kernels/number.h"
#include "kernels/preconditions.h"

namespace lema::reference {

Status PrepareEmbedding(const EmbeddingArgs&, int, Preparation*) { return Status::Ok(); }

Status Embedding(const EmbeddingArgs& a, PreparedCall*, KernelContext&) {
  const int64_t width = a.table.dim[1];
  LEMA_RETURN_IF_ERROR(CheckTokens(a.tokens, a.table.dim[0]));
  for (int64_t i = 0; i < a.tokens.elements(); ++i) {
    const int64_t row = a.tokens.as<const int32_t>()[i];
    for (int64_t h = 0; h < width; ++h) Store(a.x, i * width + h, Load(a.table, row * width + h));
  }
  return Status::Ok();
}

}  // namespace lema::reference
