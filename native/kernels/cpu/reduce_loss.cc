// The mean loss: one number a token, summed in order in f64 as the reference kernel does.
#include "generated/ops.h"

namespace lema::cpu {

Status PrepareReduceLoss(const ReduceLossArgs& args, int threads, Preparation* preparation) {
  return reference::PrepareReduceLoss(args, threads, preparation);
}

Status ReduceLoss(const ReduceLossArgs& args, PreparedCall* prepared, KernelContext& context) {
  return reference::ReduceLoss(args, prepared, context);
}

}  // namespace lema::cpu
