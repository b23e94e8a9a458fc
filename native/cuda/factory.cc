#include "cuda/factory.h"

#include <cstdio>
#include <cstdlib>

#include "cuda/capability.h"
#include "cuda/cuda_backend.h"

namespace lema::cuda {
namespace {

#if defined(LEMA_CUDA_EMULATED)
constexpr char kName[] = "cuda-emulated";
#else
constexpr char kName[] = "cuda";
#endif

std::string Version(int version) { return Cat(version / 1000, ".", version % 1000 / 10); }

// Says which of driver, runtime and device is missing, in the words of who has to do something about it.
Status Look(CudaDevice* found) {
  *found = {};
  // All kernels are on the device before the first arena: else each would be loaded, and take memory, at its first launch.
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  (void)cudaRuntimeGetVersion(&found->runtime);
  if (cudaDriverGetVersion(&found->driver) != cudaSuccess || found->driver == 0) {
    return Status(StatusCode::kUnavailable, "no NVIDIA driver is loaded");
  }
  if (found->driver / 1000 < found->runtime / 1000) {
    return Status(StatusCode::kUnavailable, Cat("the NVIDIA driver is too old: it goes up to CUDA ", Version(found->driver),
                                                ", and this build needs CUDA ", Version(found->runtime)));
  }
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess || count == 0) {
    return Status(StatusCode::kUnavailable,
                  Cat("there is no NVIDIA device", error == cudaSuccess ? "" : ": ", error == cudaSuccess ? "" : cudaGetErrorString(error)));
  }
  LEMA_CUDA(cudaSetDevice(0));
  cudaDeviceProp properties;
  LEMA_CUDA(cudaGetDeviceProperties(&properties, 0));
  std::snprintf(found->name, sizeof(found->name), "%s", properties.name);
  found->capability = properties.major * 10 + properties.minor;
  int capability = 0;
  LEMA_RETURN_IF_ERROR(FindCapability(&capability));
  const std::string products = LibraryProducts::NameFor(capability);
  std::snprintf(found->products, sizeof(found->products), "%s", products.c_str());
  size_t free = 0, total = 0;
  LEMA_CUDA(cudaMemGetInfo(&free, &total));
  found->total_bytes = total;
  found->free_bytes = free;
  found->present = true;
  return Status::Ok();
}

// A library that was asked for and is not there would leave other bits than those asked for.
Status CheckLibrary() {
  std::string where;
  if (!InsistsOnCublasLt() || FindCublasLt(&where) != nullptr) return Status::Ok();
  return Status(StatusCode::kUnavailable, Cat("LEMA_CUBLASLT asks for cuBLASLt, and it cannot be loaded: ", where));
}

Status MakeBackend(const CudaFactoryRequest& request, Backend** backend) {
  if (request.interface_version != kCudaInterfaceVersion) {
    return Status(StatusCode::kOpTableMismatch, "the CUDA object and the native module come from different builds");
  }
  if (std::string_view(request.op_table) != kOpTableHash) {
    return Status(StatusCode::kOpTableMismatch, Cat("the CUDA object was built for the op table ", kOpTableHash,
                                                    ", and the native module for ", request.op_table));
  }
  CudaDevice device;
  LEMA_RETURN_IF_ERROR(Look(&device));
  LEMA_RETURN_IF_ERROR(CheckLibrary());
  int capability = 0;
  LEMA_RETURN_IF_ERROR(FindCapability(&capability));
  *backend = new CudaBackend(kName, std::unique_ptr<Backend>(request.host), LibraryProducts::Find(capability));
  return Status::Ok();
}

int32_t Answer(const Status& status, char* message, size_t message_bytes) {
  if (message_bytes > 0) std::snprintf(message, message_bytes, "%s", status.message().c_str());
  return static_cast<int32_t>(status.code());
}

}  // namespace
}  // namespace lema::cuda

extern "C" __attribute__((visibility("default"))) int32_t lema_cuda_make_backend(const lema::CudaFactoryRequest* request,
                                                                                  lema::Backend** backend, char* message,
                                                                                  size_t message_bytes) {
  return lema::cuda::Answer(lema::cuda::MakeBackend(*request, backend), message, message_bytes);
}

extern "C" __attribute__((visibility("default"))) int32_t lema_cuda_probe(lema::CudaDevice* device, char* message,
                                                                          size_t message_bytes) {
  return lema::cuda::Answer(lema::cuda::Look(device), message, message_bytes);
}
