#include "core/executor.h"

#include <algorithm>
#include <chrono>

#include "core/text.h"
#include "generated/ops.h"

namespace lema {
namespace {

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Failure Cancelled() { return {Status(StatusCode::kCancelled, "the run was cancelled"), "", ""}; }

}  // namespace

Executor::Executor(const Plan& plan, Backend& backend, Disk& disk, bool serial_lanes)
    : plan_(plan), backend_(backend), disk_(disk), serial_(serial_lanes) {}

Executor::~Executor() {
  closing_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  threads_.clear();
}

std::byte* Executor::At(const Place& place) const {
  return arenas_[static_cast<int>(plan_.ArenaOf(place))] + plan_.Address(place);
}

Failure Executor::Prepare() {
  for (int arena = 0; arena < kArenaCount; ++arena) arenas_[arena] = backend_.Address(static_cast<ArenaId>(arena));
  for (int lane = 0; lane < kLaneCount; ++lane) {
    Status status = backend_.MakeLane(static_cast<LaneId>(lane), &lanes_[lane]);
    if (!status.ok()) return {std::move(status), "", ""};
  }
  procedures_.resize(plan_.procedures.size());
  size_t longest = 0;
  std::array<bool, kLaneCount> used{};
  for (int program = 0; program < kProgramCount; ++program) {
    for (int part = 0; part < kPartCount; ++part) {
      const Part& instructions = plan_.programs[program][part];
      if (Failure failure = PreparePart(instructions, &parts_[program][part]); !failure.status.ok()) return failure;
      longest = std::max(longest, instructions.size());
      for (int lane = 0; lane < kLaneCount; ++lane) {
        times_[lane].resize(std::max(times_[lane].size(), parts_[program][part].lanes[lane].size()));
      }
      for (const Instruction& instruction : instructions) used[static_cast<int>(instruction.lane)] = true;
    }
  }
  trace_.resize(longest);
  if (!serial_) {
    for (int lane = 0; lane < kLaneCount; ++lane) {
      if (used[lane]) threads_.emplace_back([this, lane] { LaneLoop(lane); });
    }
  }
  return {};
}

Failure Executor::PrepareProcedure(uint32_t index, LaneId lane) {
  const Procedure& procedure = plan_.procedures[index];
  auto& calls = procedures_[index].calls[static_cast<int>(lane)];
  if (calls.size() == procedure.calls.size()) return {};
  for (const Call& call : procedure.calls) {
    Status status = backend_.Prepare(call, lane, &calls.emplace_back());
    if (!status.ok()) return {std::move(status), procedure.id, OpName(call.op)};
  }
  return {};
}

Failure Executor::PreparePart(const Part& part, PreparedPart* prepared) {
  std::byte* const ram = arenas_[static_cast<int>(ArenaId::kRam)];
  for (uint32_t i = 0; i < part.size(); ++i) {
    const Instruction& instruction = part[i];
    auto& lane = prepared->lanes[static_cast<int>(instruction.lane)];
    lane.push_back(i);
    PreparedInstruction& made = prepared->instructions.emplace_back(PreparedInstruction{lane.size(), 0});
    Status status;
    if (const auto* read = std::get_if<ReadWork>(&instruction.work)) {
      made.transfer = static_cast<uint32_t>(reads_.size());
      status = disk_.Prepare(*read, ram, &reads_.emplace_back());
    } else if (const auto* gather = std::get_if<GatherWork>(&instruction.work)) {
      made.transfer = static_cast<uint32_t>(gathers_.size());
      status = disk_.Prepare(*gather, instruction.bytes, ram, &gathers_.emplace_back());
    } else if (const auto* run = std::get_if<RunWork>(&instruction.work)) {
      if (Failure failure = PrepareProcedure(run->procedure, instruction.lane); !failure.status.ok()) return failure;
    }
    if (!status.ok()) return {std::move(status), instruction.id, ""};
  }
  return {};
}

Failure Executor::RunPart(int program, int part, std::span<OpenSink> sinks) {
  part_ = &plan_.programs[program][part];
  prepared_ = &parts_[program][part];
  sinks_ = sinks;
  trace_size_ = part_->size();
  std::fill_n(trace_.begin(), trace_size_, TraceSpan{});
  disk_.Resume();
  began_ = SteadyNanoseconds();
  for (int lane = 0; lane < kLaneCount; ++lane) {
    std::fill(times_[lane].begin(), times_[lane].end(), LaneTime{});
    lanes_[lane]->Begin(times_[lane]);
  }
  {
    const std::lock_guard lock(failure_mutex_);
    if (cancelled_) return Cancelled();
    failure_ = {};
    running_ = true;
    stopped_.store(false, std::memory_order_relaxed);
  }
  if (serial_) {
    WalkSerially();
  } else {
    busy_.store(static_cast<uint32_t>(threads_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (uint32_t busy; (busy = busy_.load(std::memory_order_acquire)) != 0;) busy_.wait(busy);
  }
  TakeTimes();
  const std::lock_guard lock(failure_mutex_);
  running_ = false;
  return std::move(failure_);
}

void Executor::WalkSerially() {
  for (uint32_t i = 0; i < part_->size(); ++i) {
    const Call* call = nullptr;
    if (Status status = Execute(i, &call); !status.ok()) Fail(std::move(status), &(*part_)[i], call);
    DrainLane(static_cast<int>((*part_)[i].lane));
    if (stopped_.load(std::memory_order_relaxed)) return;
  }
}

void Executor::WalkLane(int lane) {
  for (const uint32_t i : prepared_->lanes[lane]) {
    const Call* call = nullptr;
    if (Status status = Execute(i, &call); !status.ok()) return Fail(std::move(status), &(*part_)[i], call);
  }
}

void Executor::LaneLoop(int lane) {
  uint32_t seen = 0;
  for (;;) {
    round_.wait(seen, std::memory_order_acquire);
    seen = round_.load(std::memory_order_acquire);
    if (closing_.load(std::memory_order_relaxed)) return;
    WalkLane(lane);
    DrainLane(lane);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
  }
}

// A device is done with what the lane gave it; what it reports belongs to the instruction that had not ended, if there
// is one: a device that failed before fails also where a part has nothing for it.
void Executor::DrainLane(int lane) {
  uint64_t ended = 0;
  Status status = lanes_[lane]->Drain(&ended);
  if (status.ok()) return;
  const auto& indices = prepared_->lanes[lane];
  Fail(std::move(status), ended < indices.size() ? &(*part_)[indices[ended]] : nullptr, nullptr);
}

// Where a device has measured them, its times stand for those of the submission.
void Executor::TakeTimes() {
  for (int lane = 0; lane < kLaneCount; ++lane) {
    const auto& indices = prepared_->lanes[lane];
    for (size_t i = 0; i < indices.size(); ++i) {
      if (times_[lane][i].end == 0) continue;
      trace_[indices[i]] = {times_[lane][i].start, times_[lane][i].end, 0};
    }
  }
}

Status Executor::Execute(uint32_t index, const Call** call) {
  const Instruction& instruction = (*part_)[index];
  LEMA_RETURN_IF_ERROR(AwaitFor(instruction, 0));
  if (stopped_.load(std::memory_order_relaxed)) return Status(StatusCode::kCancelled, "stopped");
  TraceSpan& span = trace_[index];
  span.start = Now();
  LEMA_RETURN_IF_ERROR(Perform(index, &span.waited, call));
  LEMA_RETURN_IF_ERROR(lanes_[static_cast<int>(instruction.lane)]->Complete(prepared_->instructions[index].position));
  span.end = Now();
  return Status::Ok();
}

Status Executor::AwaitFor(const Instruction& instruction, uint32_t at) {
  for (const Wait& wait : instruction.waits) {
    if (wait.at != at) continue;
    Lane& other = *lanes_[static_cast<int>((*part_)[wait.on].lane)];
    Lane& own = *lanes_[static_cast<int>(instruction.lane)];
    LEMA_RETURN_IF_ERROR(own.Await(other, prepared_->instructions[wait.on].position));
  }
  return Status::Ok();
}

Status Executor::Perform(uint32_t index, int64_t* waited, const Call** call) {
  const Instruction& instruction = (*part_)[index];
  const PreparedInstruction& prepared = prepared_->instructions[index];
  if (std::holds_alternative<ReadWork>(instruction.work)) return disk_.Read(reads_[prepared.transfer]);
  if (std::holds_alternative<GatherWork>(instruction.work)) return disk_.Gather(gathers_[prepared.transfer]);
  if (const auto* copy = std::get_if<CopyWork>(&instruction.work)) {
    return lanes_[static_cast<int>(instruction.lane)]->Copy(At(copy->to), At(copy->from), instruction.bytes);
  }
  if (const auto* run = std::get_if<RunWork>(&instruction.work)) return Perform(*run, index, waited, call);
  const auto& write = std::get<WriteWork>(instruction.work);
  OpenSink& sink = sinks_[write.sink];
  if (!sink.open) {
    return Status(StatusCode::kInvalidArgument, Cat("no file was given for ", plan_.sinks[write.sink].id));
  }
  const Place from{write.from.buffer, write.from.offset};
  return disk_.Write(sink.file, sink.base + write.offset, At(from), write.from.bytes);
}

Status Executor::Perform(const RunWork& run, uint32_t index, int64_t* waited, const Call** call) {
  const Instruction& instruction = (*part_)[index];
  const Procedure& procedure = plan_.procedures[run.procedure];
  const auto& calls = procedures_[run.procedure].calls[static_cast<int>(instruction.lane)];
  Lane& lane = *lanes_[static_cast<int>(instruction.lane)];
  for (uint32_t i = 0; i < procedure.calls.size(); ++i) {
    const Call& next = procedure.calls[i];
    *call = &next;
    if (i > 0 && !instruction.waits.empty()) {
      const int64_t before = Now();
      LEMA_RETURN_IF_ERROR(AwaitFor(instruction, i));
      *waited += Now() - before;
    }
    if (stopped_.load(std::memory_order_relaxed)) return Status(StatusCode::kCancelled, "stopped");
    std::array<std::byte*, kMaxOperands> operands{};
    for (const Operand& operand : next.operands) {
      operands[operand.index] = At(run.bind[operand.formal]) + operand.offset;
    }
    std::byte* const workspace =
        next.workspace ? At(run.bind[next.workspace->formal]) + next.workspace->offset : nullptr;
    LEMA_RETURN_IF_ERROR(lane.Launch(*calls[i], operands, workspace));
  }
  return Status::Ok();
}

void Executor::Fail(Status status, const Instruction* instruction, const Call* call) {
  {
    const std::lock_guard lock(failure_mutex_);
    // A lane that was stopped is never the cause: who stopped it says why.
    if (failure_.status.ok() && status.code() != StatusCode::kCancelled) {
      failure_ = {std::move(status), instruction != nullptr ? instruction->id : "", call != nullptr ? OpName(call->op) : ""};
    }
  }
  StopAll();
}

void Executor::Cancel() {
  // Under the lock to the end, so that the part cannot end and the next be the one that is stopped.
  const std::lock_guard lock(failure_mutex_);
  cancelled_ = true;
  if (!running_) return;
  if (failure_.status.ok()) failure_ = Cancelled();
  StopAll();
}

void Executor::Arm() {
  const std::lock_guard lock(failure_mutex_);
  cancelled_ = false;
}

void Executor::StopAll() {
  stopped_.store(true, std::memory_order_relaxed);
  disk_.Stop();
  for (auto& lane : lanes_) lane->Stop();
}

int64_t Executor::Now() const { return SteadyNanoseconds() - began_; }

}  // namespace lema
