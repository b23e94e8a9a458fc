#include "core/cuda_loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "core/text.h"

namespace lema {
namespace {

namespace fs = std::filesystem;

// Anything in this object; dladdr says which file that is.
const char kHere = 0;

// build/native/Release/lema.node and build/native/bin/… find it in the same folder or in its neighbour Release.
fs::path Find(const std::string& file) {
  Dl_info info;
  if (dladdr(&kHere, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code error;
  const fs::path folder = fs::absolute(info.dli_fname, error).parent_path();
  for (const fs::path& candidate : {folder / file, folder.parent_path() / "Release" / file}) {
    if (fs::exists(candidate, error)) return candidate;
  }
  return {};
}

Status Open(std::string_view name, const char* symbol, void** function) {
  const std::string file = name == "cuda" ? "lema_cuda.so" : "lema_cuda_emulated.so";
  const fs::path path = Find(file);
  if (path.empty()) {
    return Status(StatusCode::kUnavailable, Cat("this build has no ", name, " backend: ", file, " has not been built"));
  }
  // Never closed: the CUDA runtime registers what runs at the end of the process.
  void* const object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return Status(StatusCode::kUnavailable, Cat("cannot load ", file, ": ", dlerror()));
  *function = dlsym(object, symbol);
  if (*function == nullptr) return Status(StatusCode::kOpTableMismatch, Cat(file, " comes from another build: ", dlerror()));
  return Status::Ok();
}

constexpr size_t kMessageBytes = 1024;

Status Answer(int32_t code, const char* message) {
  return code == 0 ? Status::Ok() : Status(static_cast<StatusCode>(code), message);
}

}  // namespace

Status LoadCudaBackend(std::string_view name, std::unique_ptr<Backend> host, std::unique_ptr<Backend>* backend) {
  void* function = nullptr;
  LEMA_RETURN_IF_ERROR(Open(name, kCudaFactorySymbol, &function));
  const CudaFactoryRequest request{kCudaInterfaceVersion, kOpTableHash, host.get()};
  char message[kMessageBytes] = "";
  Backend* made = nullptr;
  LEMA_RETURN_IF_ERROR(Answer(reinterpret_cast<CudaFactory>(function)(&request, &made, message, sizeof(message)), message));
  (void)host.release();
  backend->reset(made);
  return Status::Ok();
}

Status ProbeCuda(std::string_view name, CudaDevice* device) {
  void* function = nullptr;
  LEMA_RETURN_IF_ERROR(Open(name, kCudaProbeSymbol, &function));
  char message[kMessageBytes] = "";
  return Answer(reinterpret_cast<CudaProbe>(function)(device, message, sizeof(message)), message);
}

}  // namespace lema
