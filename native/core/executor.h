// Walks the parts of a checked plan: one thread a lane, each with its own instruction list, waiting for nothing but
// the instructions that the plan names. With `serial_lanes` one thread walks all lanes in the plan's serial order: the
// same bits, and no overlap.
//
// The first failure stops every lane; it is kept with its instruction. All memory is taken in Prepare.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/plan.h"
#include "core/status.h"
#include "core/thread.h"
#include "io/disk.h"

namespace lema {

// A failure with its place in the plan; empty strings where it has none.
struct Failure {
  Status status;
  std::string instruction;
  std::string op;
};

// When an instruction of the last run started (its first waits over) and ended, and how long it waited in between.
// Nanoseconds since the run began; an instruction that never ended has end 0.
struct TraceSpan {
  int64_t start = 0;
  int64_t end = 0;
  int64_t waited = 0;
};

class Executor {
 public:
  Executor(const Plan& plan, Backend& backend, Disk& disk, bool serial_lanes);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Prepares every call and every read. The plan must outlive the executor.
  Failure Prepare();
  // Runs one part to its end; sinks are the open files of the plan's sinks with the base of each payload.
  struct OpenSink {
    OutputFile file;
    uint64_t base = 0;
    bool open = false;
  };
  Failure RunPart(int program, int part, std::span<OpenSink> sinks);
  // From any thread: stops the part under way, and any later one until Arm.
  void Cancel();
  // Takes back a Cancel that came when nothing ran.
  void Arm();

  // One span an instruction of the last part, in serial order.
  std::span<const TraceSpan> trace() const { return {trace_.data(), trace_size_}; }

 private:
  // Empty on lanes that never run the procedure.
  struct PreparedProcedure {
    std::array<std::vector<std::unique_ptr<BackendCall>>, kLaneCount> calls;
  };
  struct PreparedInstruction {
    uint64_t position;  // 1-based, in its lane
    uint32_t transfer;  // into reads_ or gathers_
  };
  struct PreparedPart {
    std::vector<PreparedInstruction> instructions;
    std::array<std::vector<uint32_t>, kLaneCount> lanes;
  };

  Failure PrepareProcedure(uint32_t procedure, LaneId lane);
  Failure PreparePart(const Part& part, PreparedPart* prepared);
  void WalkSerially();
  void WalkLane(int lane);
  void LaneLoop(int lane);
  void DrainLane(int lane);
  void TakeTimes();
  Status Execute(uint32_t index, const Call** call);
  Status Perform(uint32_t index, int64_t* waited, const Call** call);
  Status Perform(const RunWork& run, uint32_t index, int64_t* waited, const Call** call);
  Status AwaitFor(const Instruction& instruction, uint32_t at);
  void Fail(Status status, const Instruction* instruction, const Call* call);
  void StopAll();
  int64_t Now() const;
  std::byte* At(const Place& place) const;

  const Plan& plan_;
  Backend& backend_;
  Disk& disk_;
  const bool serial_;
  std::array<std::byte*, kArenaCount> arenas_{};
  std::array<std::unique_ptr<Lane>, kLaneCount> lanes_;
  std::vector<PreparedProcedure> procedures_;
  std::array<std::array<PreparedPart, kPartCount>, kProgramCount> parts_;
  std::vector<PreparedRead> reads_;
  std::vector<PreparedGather> gathers_;
  std::vector<TraceSpan> trace_;
  std::array<std::vector<LaneTime>, kLaneCount> times_;  // of the part under way, by position
  size_t trace_size_ = 0;

  // The part under way.
  const Part* part_ = nullptr;
  const PreparedPart* prepared_ = nullptr;
  std::span<OpenSink> sinks_;
  int64_t began_ = 0;

  std::mutex failure_mutex_;
  Failure failure_;
  bool running_ = false;             // under failure_mutex_
  bool cancelled_ = false;           // under failure_mutex_
  std::atomic<bool> stopped_{false};

  std::atomic<uint32_t> round_{0};   // grows when a part starts
  std::atomic<uint32_t> busy_{0};    // lane threads still walking
  std::atomic<bool> closing_{false};
  std::vector<Thread> threads_;
};

}  // namespace lema
