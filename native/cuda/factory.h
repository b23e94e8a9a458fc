// The one door into lema_cuda.so, which is loaded only where it is asked for: the module beside it works on machines
// without a driver. Both are built from one tree; what would tell that they were not is compared first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/backend.h"
#include "generated/ops.h"

namespace lema {

inline constexpr char kCudaFactorySymbol[] = "lema_cuda_make_backend";

struct CudaFactoryRequest {
  // Grows with every change of Backend, Lane, Call or this struct.
  uint32_t interface_version;
  const char* op_table;
  // Its arena and lanes stand for the host's part; taken over on success.
  Backend* host;
};

inline constexpr uint32_t kCudaInterfaceVersion = 3;

// What a look at the machine found; plain, since it crosses the door.
struct CudaDevice {
  bool present;
  char name[256];
  int32_t capability;  // 80: sm_80
  char products[64];   // the library that computes matrix products where it serves, empty: none
  int32_t driver;      // 12040: the newest CUDA that the driver knows
  int32_t runtime;     // the CUDA that this object was built with
  uint64_t total_bytes;
  uint64_t free_bytes;
};

inline constexpr char kCudaProbeSymbol[] = "lema_cuda_probe";

// A StatusCode; `message` gets the reason, cut to fit.
using CudaFactory = int32_t (*)(const CudaFactoryRequest* request, Backend** backend, char* message, size_t message_bytes);
using CudaProbe = int32_t (*)(CudaDevice* device, char* message, size_t message_bytes);

}  // namespace lema
