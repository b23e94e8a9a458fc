// Stands in for CUDA's <cuda_runtime.h> when the device code and the backend are compiled for the processor: the
// keywords, the built-in variables and the part of the runtime API that lema uses. Semantics are CUDA's (streams are
// asynchronous, in order, and know nothing of each other but events); speed is not a goal.
//
// What it catches that a device would not say: barriers that not every thread of a block reaches, warp operations of
// half a warp, unordered accesses to shared memory (see shared.h), reads of memory that nobody wrote (filled with NaN).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace lema::emulation {

// What the running thread of a block knows of itself.
struct ThreadPosition {
  dim3 thread, block, block_size, grid_size;
};
struct Running {
  ThreadPosition* here;
  uint32_t thread;  // its number in the block
  uint32_t epoch;   // grows with each block barrier
};
extern constinit thread_local Running running __attribute__((tls_model("initial-exec")));
inline ThreadPosition& Here() { return *running.here; }

// Returns when every thread of the block is at the same barrier; a fault otherwise.
void BlockBarrier(const char* file, int line);
// The same for a warp; `value` of every lane goes to all, and the one of `from_lane` comes back.
uint64_t WarpExchange(uint64_t value, unsigned from_lane);
unsigned Lane();
// Up to eight registers of every lane of the warp, for all of them until the next warp operation.
struct WarpRegisters {
  uint32_t of_lane[32][8];
};
const WarpRegisters& ShareRegisters(const uint32_t* own, int count);
// What the running thread has asked for and goes on without: done by Await, group by group in order.
enum class Later { kCopies, kProducts };
void Defer(Later kind, std::function<void()> done);
void Commit(Later kind);  // what was deferred since the last call is a group
void Await(Later kind, int pending);
// Whether copies that have arrived were shown to asynchronous products since.
void Show();
bool Shown();
// Ends the kernel with an error; the stream reports it from then on.
[[noreturn]] void Fault(const char* what, const char* file, int line);

// Shared memory of the running block: one object a type, alive as long as the block.
void* SharedOf(const void* type, size_t bytes);

}  // namespace lema::emulation

#define threadIdx (::lema::emulation::Here().thread)
#define blockIdx (::lema::emulation::Here().block)
#define blockDim (::lema::emulation::Here().block_size)
#define gridDim (::lema::emulation::Here().grid_size)
#define __syncthreads() ::lema::emulation::BlockBarrier(__FILE__, __LINE__)

template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  const uint64_t other = ::lema::emulation::WarpExchange(bits, ::lema::emulation::Lane() ^ static_cast<unsigned>(mask));
  __builtin_memcpy(&value, &other, sizeof(T));
  return value;
}

inline float __uint_as_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}
inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }

// ---- runtime API ----

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind { cudaMemcpyDefault = 4 };

inline constexpr unsigned cudaStreamDefault = 0;
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0;
inline constexpr unsigned cudaEventBlockingSync = 1;
inline constexpr unsigned cudaHostRegisterPortable = 1;
inline constexpr unsigned cudaHostAllocMapped = 2;

namespace lema::emulation {
class Stream;
struct Event;
}  // namespace lema::emulation
using cudaStream_t = lema::emulation::Stream*;
using cudaEvent_t = lema::emulation::Event*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor;
  int multiProcessorCount;
};

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
struct cudaFuncAttributes {
  size_t sharedSizeBytes;
  int ptxVersion;
};
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned flags);
cudaError_t cudaHostUnregister(void* memory);
cudaError_t cudaMemset(void* memory, int value, size_t bytes);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);

namespace lema::emulation {
// Puts a kernel into a stream: `body` is run once for every thread of every block.
cudaError_t LaunchKernel(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> body);
}  // namespace lema::emulation
