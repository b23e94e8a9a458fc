// A lane on a device: a stream, and a thread that follows it. What the lane is given is only put into the stream; an
// event ends each instruction. Other device lanes wait for that event on the device; the follower waits for it on the
// host and lets the timeline advance, so that host lanes wait as for any lane.
//
// Events come from a ring of kAhead: the lane is at most that many instructions ahead of the device. Since the oldest
// unfinished instruction of a part never waits for a later one, this bound cannot lock.
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/backend.h"
#include "core/thread.h"
#include "cuda/launch.h"
#include "generated/cuda_ops.h"

namespace lema::cuda {

// A call whose record lacks nothing but addresses.
class DeviceCall final : public BackendCall {
 public:
  DeviceCall(const Call& call);

  const DeviceKernel& kernel;
  CallRecord record;
  size_t workspace_bytes = 0;
};

class DeviceLane final : public Lane {
 public:
  // Streams, events and the follower; everything is taken here.
  static Status Make(const LibraryProducts* library, std::unique_ptr<DeviceLane>* lane);
  ~DeviceLane() override;

  void Begin(std::span<LaneTime> times) override;
  Status Await(Lane& other, uint64_t position) override;
  Status Copy(std::byte* to, const std::byte* from, uint64_t bytes) override;
  Status Launch(const BackendCall& call, std::span<std::byte* const> operands, std::byte* workspace) override;
  Status Complete(uint64_t position) override;
  Status Drain(uint64_t* ended) override;
  void Stop() override;

 private:
  static constexpr uint64_t kAhead = 128;

  explicit DeviceLane(const LibraryProducts* library) : library_(library) {}
  Status Create();
  // Puts the event that begins the next instruction into the stream, once; waits for room in the ring.
  Status BeginInstruction();
  Status MakeWait(cudaStream_t stream, uint64_t position);
  void Follow();
  Status Look();
  int64_t Since(cudaEvent_t event) const;

  const LibraryProducts* const library_;
  int capability_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t origin_ = nullptr;
  std::array<cudaEvent_t, kAhead> begins_{}, ends_{};
  DeviceFault* fault_ = nullptr;  // host memory that kernels write
  std::span<LaneTime> times_;
  bool begun_ = false;  // the instruction at hand; of the lane's own thread

  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  uint64_t submitted_ = 0;  // instructions whose end is in the stream
  uint64_t followed_ = 0;   // instructions that have ended, or were given up
  uint64_t ended_ = 0;      // instructions that ended without an error before them
  Status status_;           // the first error of the part
  bool stopped_ = false;
  bool closing_ = false;
  std::unique_ptr<Thread> follower_;
};

}  // namespace lema::cuda
