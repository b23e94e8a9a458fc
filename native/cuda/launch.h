// How kernels are put into a stream, and what a launcher gets.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "core/status.h"
#include "core/text.h"

namespace lema::cuda {

// What a kernel found in its data that a launcher cannot look at. In host memory that the device writes; the lane reads
// it when an instruction has ended. `code` is a StatusCode, 0: nothing.
struct DeviceFault {
  volatile int32_t code;
  volatile int32_t value;
  volatile int64_t at;
};

class LibraryProducts;

struct LaunchContext {
  cudaStream_t stream;
  std::byte* workspace;  // 64-byte aligned device memory, as much as was planned
  size_t workspace_bytes;
  DeviceFault* fault;
  int capability;  // as FindCapability has it
  const LibraryProducts* library = nullptr;  // for products that it has; null: all are lema's own
};

// What a kernel learns at load, and what it says then.
struct DevicePreparation {
  size_t granted_bytes = 0;    // the planned workspace
  size_t workspace_bytes = 0;  // what the kernel takes of it; more is refused
  LibraryProducts* library = nullptr;
};

inline Status FromCuda(cudaError_t error, const char* what, std::source_location where = std::source_location::current()) {
  if (error == cudaSuccess) return Status::Ok();
  const StatusCode code = error == cudaErrorMemoryAllocation ? StatusCode::kResourceExhausted : StatusCode::kKernelError;
  return Status(code, Cat(what, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ")"), where);
}

#define LEMA_CUDA(expression) LEMA_RETURN_IF_ERROR(::lema::cuda::FromCuda((expression), #expression))

inline unsigned Blocks(int64_t count, int64_t of_block) { return static_cast<unsigned>((count + of_block - 1) / of_block); }

#if defined(__CUDACC__)

template <typename... Parameters, typename... Arguments>
Status Launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, const LaunchContext& context, Arguments... arguments) {
  kernel<<<grid, threads, 0, context.stream>>>(arguments...);
  return FromCuda(cudaGetLastError(), "a launch");
}

// With `shared_bytes` of WideShared.
template <auto kKernel, typename... Arguments>
Status LaunchWide(dim3 grid, unsigned threads, size_t shared_bytes, const LaunchContext& context, Arguments... arguments) {
  static const cudaError_t allowed = cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  LEMA_RETURN_IF_ERROR(FromCuda(allowed, "shared memory of a block"));
  kKernel<<<grid, threads, shared_bytes, context.stream>>>(arguments...);
  return FromCuda(cudaGetLastError(), "a launch");
}

#elif defined(LEMA_CUDA_EMULATED)

template <typename... Parameters, typename... Arguments>
Status Launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, const LaunchContext& context, Arguments... arguments) {
  return FromCuda(emulation::LaunchKernel(grid, {threads, 1, 1}, context.stream, [=] { kernel(arguments...); }), "a launch");
}
template <auto kKernel, typename... Arguments>
Status LaunchWide(dim3 grid, unsigned threads, size_t, const LaunchContext& context, Arguments... arguments) {
  return Launch(kKernel, grid, threads, context, arguments...);
}

#endif

__device__ __forceinline__ void Report(DeviceFault* fault, StatusCode code, int64_t at, int32_t value) {
  fault->at = at;
  fault->value = value;
  fault->code = static_cast<int32_t>(code);
}

}  // namespace lema::cuda
