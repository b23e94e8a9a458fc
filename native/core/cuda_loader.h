// Loads the CUDA object that lies beside the native module (or beside the program, for tests), where there is one.
#pragma once

#include <memory>
#include <string_view>

#include "core/backend.h"
#include "cuda/factory.h"

namespace lema {

// "cuda" or "cuda-emulated". A Status that says what is missing: the object, the driver, a device.
Status LoadCudaBackend(std::string_view name, std::unique_ptr<Backend> host, std::unique_ptr<Backend>* backend);

// What device is there, or why none can be used.
Status ProbeCuda(std::string_view name, CudaDevice* device);

}  // namespace lema
