#include "core/backend.h"

#include "core/host_backend.h"
#include "core/text.h"

namespace lema {

Status MakeBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend) {
  if (options.name == "cpu") {
    *backend = std::make_unique<HostBackend>("cpu", kCpuKernels, options.threads);
  } else if (options.name == "reference") {
    *backend = std::make_unique<HostBackend>("reference", kReferenceKernels, options.threads);
  } else {
    return Status(StatusCode::kInvalidArgument, Cat("this build has no backend ", options.name));
  }
  return Status::Ok();
}

}  // namespace lema
