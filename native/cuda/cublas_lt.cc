#include "cuda/cublas_lt.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

namespace lema::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// `lib/python3.12/site-packages` and the like, below a prefix.
void AddSitePackages(const fs::path& prefix, std::vector<fs::path>* folders) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(prefix / "lib", error)) {
    if (!entry.path().filename().string().starts_with("python3")) continue;
    for (const char* name : {"site-packages", "dist-packages"}) folders->push_back(entry.path() / name);
  }
}

// The prefix of the `python3` that a shell would start, whose environment a user installs wheels into.
void AddPythonOfPath(std::vector<fs::path>* folders) {
  const std::string path = Environment("PATH");
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const fs::path program = fs::path(path.substr(begin, end - begin)) / "python3";
    begin = end + 1;
    std::error_code error;
    if (!fs::exists(program, error)) continue;
    AddSitePackages(program.parent_path().parent_path(), folders);
    AddSitePackages(fs::canonical(program, error).parent_path().parent_path(), folders);
    return;
  }
}

// Folders that may hold the library: the toolkit's, and those of NVIDIA's Python wheels.
std::vector<fs::path> Folders() {
  std::vector<fs::path> folders;
  for (const std::string& toolkit : {Environment("CUDA_HOME"), std::string("/usr/local/cuda")}) {
    if (!toolkit.empty()) folders.push_back(fs::path(toolkit) / "lib64");
  }
  std::vector<fs::path> packages;
  if (const std::string environment = Environment("VIRTUAL_ENV"); !environment.empty()) AddSitePackages(environment, &packages);
  AddPythonOfPath(&packages);
  for (const char* prefix : {"/usr/local", "/usr"}) AddSitePackages(prefix, &packages);
  for (const fs::path& package : packages) {
    for (const char* wheel : {"nvidia/cu13/lib", "nvidia/cublas/lib"}) folders.push_back(package / wheel);
  }
  return folders;
}

void* Open(std::string* where) {
  const std::string asked = AskedOfCublasLt();
  if (asked == "off") return *where = "LEMA_CUBLASLT is off", nullptr;
  if (asked != "" && asked != "on") {
    void* const object = dlopen(asked.c_str(), RTLD_NOW | RTLD_LOCAL);
    *where = object == nullptr ? dlerror() : asked;
    return object;
  }
  const std::vector<fs::path> folders = Folders();
  for (const char* name : kNames) {
    if (void* const object = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return *where = name, object;
    for (const fs::path& folder : folders) {
      const std::string file = (folder / name).string();
      std::error_code error;
      if (!fs::exists(file, error)) continue;
      if (void* const object = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return *where = file, object;
    }
  }
  *where = "no libcublasLt in the toolkit or in Python's nvidia-cublas";
  return nullptr;
}

template <typename Function>
bool Get(void* object, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(object, name));
  return *function != nullptr;
}

const CublasLt* Load(std::string* where) {
  void* const object = Open(where);
  if (object == nullptr) return nullptr;
  static CublasLt lt;
  const bool whole = Get(object, "cublasLtGetVersion", &lt.version) && Get(object, "cublasLtCreate", &lt.create) &&
                     Get(object, "cublasLtDestroy", &lt.destroy) &&
                     Get(object, "cublasLtMatmulDescCreate", &lt.description_create) &&
                     Get(object, "cublasLtMatmulDescDestroy", &lt.description_destroy) &&
                     Get(object, "cublasLtMatmulDescSetAttribute", &lt.description_set) &&
                     Get(object, "cublasLtMatrixLayoutCreate", &lt.layout_create) &&
                     Get(object, "cublasLtMatrixLayoutDestroy", &lt.layout_destroy) &&
                     Get(object, "cublasLtMatmulPreferenceCreate", &lt.preference_create) &&
                     Get(object, "cublasLtMatmulPreferenceDestroy", &lt.preference_destroy) &&
                     Get(object, "cublasLtMatmulPreferenceSetAttribute", &lt.preference_set) &&
                     Get(object, "cublasLtMatmulAlgoGetHeuristic", &lt.heuristic) &&
                     Get(object, "cublasLtMatmulAlgoConfigGetAttribute", &lt.config_get) &&
                     Get(object, "cublasLtMatmul", &lt.multiply);
  if (!whole) *where += ", which lacks a function";
  return whole ? &lt : nullptr;
}

}  // namespace

const CublasLt* FindCublasLt(std::string* where) {
  static std::string found_at;
  static const CublasLt* const found = Load(&found_at);
  *where = found_at;
  return found;
}

}  // namespace lema::cuda
