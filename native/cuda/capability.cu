#include "cuda/capability.h"

#include "cuda/device.h"
#include "cuda/launch.h"

namespace lema::cuda {
namespace {

// Compiled as all kernels of this object are.
__global__ void CompiledKernel(int*) {}

}  // namespace

Status FindCapability(int* capability) {
  cudaDeviceProp device;
  LEMA_CUDA(cudaGetDeviceProperties(&device, 0));
  cudaFuncAttributes kernel;
  LEMA_CUDA(cudaFuncGetAttributes(&kernel, reinterpret_cast<const void*>(&CompiledKernel)));
  *capability = std::min(10 * device.major + device.minor, kernel.ptxVersion);
  return Status::Ok();
}

}  // namespace lema::cuda
