#include "core/engine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/plan_checker.h"
#include "core/plan_decoder.h"
#include "core/text.h"
#include "core/thread_pool.h"
#include "generated/ops.h"

namespace lema {
namespace {

// More would wait for memory.
constexpr unsigned kDigestThreads = 16;

// Every element within [low, high]; NaN is in no range.
template <typename T>
bool WithinRange(const StepInput& input, std::span<const std::byte> bytes) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if (!(static_cast<double>(value) >= input.low && static_cast<double>(value) <= input.high)) return false;
  }
  return true;
}

// Closes the files of a run when it ends, however it ends: one that is removed then gives its room back.
struct SinkCloser {
  std::span<Executor::OpenSink> sinks;
  ~SinkCloser() {
    for (Executor::OpenSink& sink : sinks) sink = {};
  }
};

}  // namespace

Failure Engine::Load(std::span<const std::byte> encoded, std::span<const std::string> paths) {
  const auto without_place = [](Status status) { return Failure{std::move(status), "", ""}; };
  if (loaded()) return without_place(Status(StatusCode::kInvalidArgument, "a plan is loaded already"));
  auto plan = std::make_unique<Plan>();
  if (Status s = DecodePlan(encoded, plan.get()); !s.ok()) return without_place(s);
  if (plan->op_table != kOpTableHash) {
    return without_place(Status(StatusCode::kOpTableMismatch, Cat("the plan was made for the op table ", plan->op_table,
                                                                  ", and this module has ", kOpTableHash)));
  }
  if (Status s = CheckPlan(*plan); !s.ok()) return without_place(s);

  std::unique_ptr<Backend> backend;
  const BackendOptions backend_options{options_.backend, static_cast<int>(plan->threads)};
  if (Status s = MakeBackend(backend_options, &backend); !s.ok()) return without_place(s);
  EngineInfo info{plan->arena_bytes[0], plan->arena_bytes[1]};
  if (Status s = backend->DeviceBytes(&info.device_bytes_before); !s.ok()) return without_place(s);
  auto disk = std::make_unique<Disk>(*plan, options_.disk);
  if (Status s = disk->Open(paths); !s.ok()) return without_place(s);
  for (int arena = 0; arena < kArenaCount; ++arena) {
    Status s = backend->AllocateArena(static_cast<ArenaId>(arena), plan->arena_bytes[arena]);
    if (!s.ok()) return without_place(s);
  }
  auto executor = std::make_unique<Executor>(*plan, *backend, *disk, options_.serial_lanes);
  if (Failure failure = executor->Prepare(); !failure.status.ok()) return failure;
  plan_ = std::move(plan);
  backend_ = std::move(backend);
  disk_ = std::move(disk);
  sinks_.resize(plan_->sinks.size());
  for (const Constant& constant : plan_->constants) {
    Status s = backend_->Upload(At(constant.at), constant.data.data(), constant.data.size());
    if (!s.ok()) return without_place(s);
  }
  executor_ = std::move(executor);
  info.direct_io = disk_->direct();
  if (Status s = backend_->DeviceBytes(&info.device_bytes_after); !s.ok()) return without_place(s);
  info_ = info;
  loaded_.store(true, std::memory_order_release);
  return {};
}

std::byte* Engine::At(const Place& place) const { return backend_->Address(plan_->ArenaOf(place)) + plan_->Address(place); }

Failure Engine::Run(const RunRequest& request, RunStats* stats) {
  const auto without_place = [](Status status) { return Failure{std::move(status), "", ""}; };
  const auto invalid = [&](const char* what) { return without_place(Status(StatusCode::kInvalidArgument, what)); };
  if (!loaded()) return invalid("no plan is loaded");
  if (request.program < 0 || request.program >= kProgramCount || request.part < 0 || request.part >= kPartCount) {
    return invalid("no such program or part");
  }
  if (torn_ && request.part != 0) return invalid("the last run was not finished; start again from a prologue");
  if (Status s = PutInputs(request.inputs); !s.ok()) return without_place(s);
  const SinkCloser closer{sinks_};
  if (Status s = OpenSinks(request.sinks); !s.ok()) return without_place(s);

  const uint64_t read_before = disk_->bytes_read();
  const uint64_t written_before = disk_->bytes_written();
  const auto began = std::chrono::steady_clock::now();
  Failure failure = executor_->RunPart(request.program, request.part, sinks_);
  torn_ = !failure.status.ok();
  if (torn_) return failure;
  for (Executor::OpenSink& sink : sinks_) {
    if (!request.sync || !sink.open) continue;
    if (Status s = sink.file.Sync(); !s.ok()) return without_place(s);
  }
  const auto took = std::chrono::steady_clock::now() - began;
  stats->bytes_read = disk_->bytes_read() - read_before;
  stats->bytes_written = disk_->bytes_written() - written_before;
  stats->nanoseconds = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
  stats->tensors_verified = disk_->tensors_verified();
  return {};
}

void Engine::Cancel() {
  if (loaded()) executor_->Cancel();
}

void Engine::Arm() {
  if (loaded()) executor_->Arm();
}

Status Engine::PutInputs(std::span<const InputValue> inputs) {
  for (const InputValue& value : inputs) {
    if (value.input >= plan_->inputs.size()) return Status(StatusCode::kInvalidArgument, "no such step input");
    const StepInput& input = plan_->inputs[value.input];
    if (value.bytes.size() != input.elements * SizeOf(input.dtype)) {
      return Status(StatusCode::kInvalidArgument, Cat("step input ", input.name, " has ", value.bytes.size(), " bytes, not ",
                                                      input.elements * SizeOf(input.dtype)));
    }
    const bool legal = !input.ranged || (input.dtype == DType::kI32 ? WithinRange<int32_t>(input, value.bytes)
                                                                    : WithinRange<float>(input, value.bytes));
    if (!legal) {
      return Status(StatusCode::kOutOfRange,
                    Cat("step input ", input.name, " leaves its range [", input.low, ", ", input.high, "]"));
    }
    LEMA_RETURN_IF_ERROR(backend_->Upload(At(input.at), value.bytes.data(), value.bytes.size()));
  }
  return Status::Ok();
}

Status Engine::OpenSinks(std::span<const SinkPath> sinks) {
  for (const SinkPath& sink : sinks) {
    if (sink.sink >= sinks_.size()) return Status(StatusCode::kInvalidArgument, "no such sink");
    if (sink.base > (uint64_t{1} << 40)) return Status(StatusCode::kOutOfRange, "the header of a sink is too long");
    Executor::OpenSink& target = sinks_[sink.sink];
    LEMA_RETURN_IF_ERROR(target.file.Open(sink.path));
    target.base = sink.base;
    target.open = true;
  }
  return Status::Ok();
}

Status Engine::DeviceBytes(uint64_t* in_use) const {
  if (!loaded()) return Status(StatusCode::kInvalidArgument, "no plan is loaded");
  return backend_->DeviceBytes(in_use);
}

Status Engine::CheckRange(uint32_t buffer, uint64_t offset, uint64_t bytes) const {
  if (!loaded()) return Status(StatusCode::kInvalidArgument, "no plan is loaded");
  if (buffer >= plan_->buffers.size()) return Status(StatusCode::kInvalidArgument, "no such buffer");
  const uint64_t size = plan_->buffers[buffer].bytes;
  if (bytes > size || offset > size - bytes) {
    return Status(StatusCode::kOutOfRange,
                  Cat(bytes, " bytes at ", offset, " of buffer ", plan_->buffers[buffer].id, ", which has ", size));
  }
  return Status::Ok();
}

Status Engine::Read(uint32_t buffer, uint64_t offset, std::span<std::byte> to) {
  LEMA_RETURN_IF_ERROR(CheckRange(buffer, offset, to.size()));
  return backend_->Download(to.data(), At({buffer, offset}), to.size());
}

Status Engine::Write(uint32_t buffer, uint64_t offset, std::span<const std::byte> from) {
  LEMA_RETURN_IF_ERROR(CheckRange(buffer, offset, from.size()));
  return backend_->Upload(At({buffer, offset}), from.data(), from.size());
}

Status Engine::Digest(std::span<const ByteRange> ranges, std::span<Sha256Digest> digests) const {
  for (const auto& [buffer, offset, bytes] : ranges) {
    LEMA_RETURN_IF_ERROR(CheckRange(buffer, offset, bytes));
    if (plan_->buffers[buffer].arena != ArenaId::kRam) {
      return Status(StatusCode::kInvalidArgument, Cat("buffer ", plan_->buffers[buffer].id, " is not in ram"));
    }
  }
  ThreadPool pool(static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, kDigestThreads)));
  pool.ParallelFor(static_cast<int64_t>(ranges.size()), [&](int64_t i, int) {
    Sha256 hash;
    hash.Update(At({ranges[i].buffer, ranges[i].offset}), ranges[i].bytes);
    digests[i] = hash.Finish();
  });
  return Status::Ok();
}

}  // namespace lema
