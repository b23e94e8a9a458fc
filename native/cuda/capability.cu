#include "cuda/capability.h"

#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/warpgroup.h"

namespace lema::cuda {
namespace {

// Compiled as all kernels of this object are: its shared memory says with what.
__global__ void CompiledKernel(int* to) {
#if LEMA_WARPGROUPS
  __shared__ volatile int with_warpgroups;  // volatile, or it would be compiled away
  with_warpgroups = 1;
  *to = with_warpgroups;
#else
  *to = 0;
#endif
}

}  // namespace

Status FindCapability(int* capability) {
  cudaDeviceProp device;
  LEMA_CUDA(cudaGetDeviceProperties(&device, 0));
  cudaFuncAttributes kernel;
  LEMA_CUDA(cudaFuncGetAttributes(&kernel, reinterpret_cast<const void*>(&CompiledKernel)));
  *capability = std::min(10 * device.major + device.minor, kernel.ptxVersion);
  if (*capability == kWarpgroupCapability && kernel.sharedSizeBytes == 0) *capability = kWarpgroupCapability - 1;
  return Status::Ok();
}

}  // namespace lema::cuda
