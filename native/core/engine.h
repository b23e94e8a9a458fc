// One loaded plan and everything it needs: backend, arenas, files, lanes. The addon is a thin translation of this
// class; nothing here knows of JavaScript.
//
// Order of calls: Load once, then RunPart, Read and Write from one thread at a time; Cancel from any thread. After a
// part that failed or was cancelled the arenas hold half a step, so that only a prologue, which starts from nothing,
// may run.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/executor.h"
#include "core/plan.h"
#include "io/disk.h"
#include "io/sha256.h"

namespace lema {

struct EngineOptions {
  std::string backend = "cpu";
  bool serial_lanes = false;
  DiskOptions disk;
};

struct InputValue {
  uint32_t input;  // index in plan.inputs
  std::span<const std::byte> bytes;
};

struct SinkPath {
  uint32_t sink;
  std::string path;
  uint64_t base;  // length of the file's header
};

struct RunRequest {
  int program = 0;
  int part = 0;
  bool sync = false;  // fsync the sinks at the end
  std::vector<InputValue> inputs;
  std::vector<SinkPath> sinks;
};

struct RunStats {
  uint64_t bytes_read = 0;     // from disk, over-reads included
  uint64_t bytes_written = 0;  // to sinks
  uint64_t nanoseconds = 0;
  uint64_t tensors_verified = 0;  // since load: tensors whose digest has been checked
};

struct ByteRange {
  uint32_t buffer;
  uint64_t offset, bytes;
};

struct EngineInfo {
  uint64_t ram_bytes = 0;
  uint64_t vram_bytes = 0;
  bool direct_io = false;  // every weight file is read past the page cache
  // In use on the device, by whomever: when the context and its kernels were there, and with all that a run needs.
  uint64_t device_bytes_before = 0;
  uint64_t device_bytes_after = 0;
};

class Engine {
 public:
  explicit Engine(EngineOptions options) : options_(std::move(options)) {}

  Failure Load(std::span<const std::byte> encoded, std::span<const std::string> paths);
  Failure Run(const RunRequest& request, RunStats* stats);
  // Stops the part under way, or the next one; Arm takes that back. Both do nothing before a plan is loaded.
  void Cancel();
  void Arm();

  // Bytes of a buffer, [offset, offset + bytes). CheckRange alone says whether they exist.
  Status CheckRange(uint32_t buffer, uint64_t offset, uint64_t bytes) const;
  Status Read(uint32_t buffer, uint64_t offset, std::span<std::byte> to);
  Status Write(uint32_t buffer, uint64_t offset, std::span<const std::byte> from);

  // SHA-256 of each range, side by side; of the ram arena alone.
  Status Digest(std::span<const ByteRange> ranges, std::span<Sha256Digest> digests) const;

  bool loaded() const { return loaded_.load(std::memory_order_acquire); }
  const EngineInfo& info() const { return info_; }
  // In use on the device now, by whomever; 0 on a host.
  Status DeviceBytes(uint64_t* in_use) const;
  const Plan& plan() const { return *plan_; }
  std::span<const TraceSpan> trace() const { return executor_->trace(); }

 private:
  Status PutInputs(std::span<const InputValue> inputs);
  Status OpenSinks(std::span<const SinkPath> sinks);
  std::byte* At(const Place& place) const;

  const EngineOptions options_;
  // In the order of their dependence: each refers to those above it.
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Executor> executor_;
  EngineInfo info_;
  std::vector<Executor::OpenSink> sinks_;  // of the last run; one for each of the plan's sinks
  std::atomic<bool> loaded_{false};  // Cancel may look while Load is under way
  bool torn_ = false;                // the last part did not end well
};

}  // namespace lema
