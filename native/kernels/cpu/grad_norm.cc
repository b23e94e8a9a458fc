// norm = √Σ squares, clip and skip: a few numbers, summed in order as the reference kernel does.
#include "generated/ops.h"

namespace lema::cpu {

Status PrepareGradNorm(const GradNormArgs& args, int threads, Preparation* preparation) {
  return reference::PrepareGradNorm(args, threads, preparation);
}

Status GradNorm(const GradNormArgs& args, PreparedCall* prepared, KernelContext& context) {
  return reference::GradNorm(args, prepared, context);
}

}  // namespace lema::cpu
