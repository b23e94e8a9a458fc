#include "core/backend.h"

#include "core/cuda_loader.h"
#include "core/host_backend.h"
#include "core/text.h"

namespace lema {

Status MakeBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  if (options.name == "cpu") {
    *backend = std::make_unique<HostBackend>("cpu", kCpuKernels, options.threads);
  } else if (options.name == "reference") {
    *backend = std::make_unique<HostBackend>("reference", kReferenceKernels, options.threads);
  } else if (options.name == "cuda" || options.name == "cuda-emulated") {
    // One thread: what runs on the host beside a device is the optimizer's lane and the disk's.
    return LoadCudaBackend(options.name, std::make_unique<HostBackend>("cpu", kCpuKernels, 1), backend);
  } else {
    return Status(StatusCode::kInvalidArgument, Cat("this build has no backend ", options.name));
  }
  return Status::Ok();
}

}  // namespace lema
