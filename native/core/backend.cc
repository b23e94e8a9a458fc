#include "core/backend.h"

#include <algorithm>
#include <thread>

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
    // The processor computes nothing else: the optimizer has all of it. The plan's threads are the device's, one.
    const int host_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    return LoadCudaBackend(options.name, std::make_unique<HostBackend>("cpu", kCpuKernels, 1, host_threads), backend);
  } else {
    return Status(StatusCode::kInvalidArgument, Cat("this build has no backend ", options.name));
  }
  return Status::Ok();
}

}  // namespace lema
