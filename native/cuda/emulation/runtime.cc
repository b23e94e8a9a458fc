// The runtime API of the emulated device: each stream is a thread with a queue; an event is a count of how often it has
// been recorded and how often that record was reached. An error of a kernel sticks, as on a device.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "cuda/emulation/blocks.h"
#include "cuda/emulation/faults.h"

namespace lema::emulation {
namespace {

constexpr size_t kDeviceBytes = size_t{16} << 30;
// What the object was compiled for: 80, or as LEMA_EMULATED_PTX says; 90 with warpgroups, 89 for 90 without them.
int CompiledFor() {
  const char* const wanted = std::getenv("LEMA_EMULATED_PTX");
  return wanted == nullptr ? 80 : std::atoi(wanted);
}

struct Device {
  std::mutex mutex;
  std::map<void*, size_t> allocations;
  size_t allocated = 0;
  int streams = 0;
  cudaError_t sticky = cudaSuccess;
  char message[512] = "an emulated kernel failed";

  void Fail(const std::string& what, cudaError_t error = cudaErrorLaunchFailure) {
    const std::lock_guard lock(mutex);
    if (sticky != cudaSuccess) return;
    sticky = error;
    std::strncpy(message, what.c_str(), sizeof(message) - 1);
  }
  cudaError_t Error() {
    const std::lock_guard lock(mutex);
    return sticky;
  }
};

Device& TheDevice() {
  static Device device;
  return device;
}

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t Report(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace

// What an event counts. Streams that have yet to reach or await a record keep it when the event is destroyed, as a
// device does.
class Records {
 public:
  using Clock = std::chrono::steady_clock;

  uint64_t Record() {
    const std::lock_guard lock(mutex_);
    return ++recorded_;
  }
  void Reach(uint64_t record) {
    const std::lock_guard lock(mutex_);
    reached_ = record;
    when_ = Clock::now();
    changed_.notify_all();
  }
  uint64_t recorded() {
    const std::lock_guard lock(mutex_);
    return recorded_;
  }
  void Await(uint64_t record) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reached_ >= record; });
  }
  Clock::time_point when() {
    const std::lock_guard lock(mutex_);
    return when_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t recorded_ = 0, reached_ = 0;
  Clock::time_point when_{};
};

struct Event {
  const std::shared_ptr<Records> records = std::make_shared<Records>();
};

class Stream {
 public:
  Stream() : thread_([this] { Run(); }) {}
  ~Stream() {
    Put(nullptr);
    thread_.join();
  }

  // An empty work ends the stream.
  void Put(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    ++put_;
    changed_.notify_all();
  }
  void Drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ == put_; });
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!work) return;
      work();
      lock.lock();
      ++done_;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  uint64_t put_ = 0, done_ = 0;
  std::thread thread_;
};

cudaError_t LaunchKernel(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> body) {
  if (TheDevice().Error() != cudaSuccess) return Report(TheDevice().Error());
  if (Fails(FaultKind::kLaunch)) return Report(cudaErrorLaunchOutOfResources);
  const bool fails = Fails(FaultKind::kKernel);
  stream->Put([grid, block, fails, body = std::move(body)] {
    if (TheDevice().Error() != cudaSuccess) return;
    if (fails) return TheDevice().Fail("a kernel failed that was to fail");
    if (const std::string fault = RunKernel(grid, block, body); !fault.empty()) TheDevice().Fail(fault);
  });
  return cudaSuccess;
}

}  // namespace lema::emulation

using lema::emulation::Event;
using lema::emulation::Fails;
using lema::emulation::FaultKind;
using lema::emulation::last_error;
using lema::emulation::Report;
using lema::emulation::Stream;
using lema::emulation::TheDevice;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchOutOfResources: return "cudaErrorLaunchOutOfResources";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  }
  return "unknown error";
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == TheDevice().Error() && error != cudaSuccess ? TheDevice().message : cudaGetErrorName(error);
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return Report(device == 0 ? cudaSuccess : cudaErrorInvalidValue); }
// What does not name a stream has happened when its call returns.
cudaError_t cudaDeviceSynchronize() { return Report(TheDevice().Error()); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated device", lema::emulation::kDeviceBytes, lema::emulation::CompiledFor() >= 89 ? 9 : 8, 0, 1};
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  const int compiled = lema::emulation::CompiledFor();
  attributes->ptxVersion = compiled == 89 ? 90 : compiled;
  attributes->sharedSizeBytes = compiled == 90 ? sizeof(int) : 0;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(TheDevice().mutex);
  *total = lema::emulation::kDeviceBytes;
  *free = *total - TheDevice().allocated;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  auto& device = TheDevice();
  const std::lock_guard lock(device.mutex);
  if (bytes > lema::emulation::kDeviceBytes - device.allocated) return Report(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*memory == nullptr) return Report(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xff, bytes);  // as good as anything, and not a number
  device.allocations[*memory] = bytes;
  device.allocated += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  auto& device = TheDevice();
  const std::lock_guard lock(device.mutex);
  if (memory == nullptr) return cudaSuccess;
  const auto found = device.allocations.find(memory);
  if (found == device.allocations.end()) return Report(cudaErrorInvalidValue);
  device.allocated -= found->second;
  device.allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return Report(*memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned) {
  return Report(memory != nullptr && bytes > 0 ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }

cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  std::memset(memory, value, bytes);
  return Report(TheDevice().Error());
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memmove(to, from, bytes);
  return Report(TheDevice().Error());
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  const bool fails = Fails(FaultKind::kCopy);
  stream->Put([=] {
    if (TheDevice().Error() != cudaSuccess) return;
    if (fails) return TheDevice().Fail("a copy failed that was to fail", cudaErrorIllegalAddress);
    std::memmove(to, from, bytes);
  });
  return Report(TheDevice().Error());
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  {
    const std::lock_guard lock(TheDevice().mutex);
    if (TheDevice().streams++ == 0) lema::emulation::ReadWantedFault();
  }
  *stream = new Stream;
  return cudaSuccess;
}
// A device that has failed stays so until its process ends; this one until its last stream does, so that tests go on.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  const std::lock_guard lock(TheDevice().mutex);
  if (--TheDevice().streams == 0) TheDevice().sticky = cudaSuccess;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  stream->Drain();
  return Report(TheDevice().Error());
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const uint64_t record = event->records->recorded();
  stream->Put([records = event->records, record] { records->Await(record); });
  return Report(TheDevice().Error());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const uint64_t record = event->records->Record();
  stream->Put([records = event->records, record] { records->Reach(record); });
  return Report(TheDevice().Error());
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  event->records->Await(event->records->recorded());
  return Report(TheDevice().Error());
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->records->when() - begin->records->when()).count();
  return cudaSuccess;
}
