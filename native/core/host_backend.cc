#include "core/host_backend.h"

#include <cstring>

#include "core/text.h"
#include "core/thread_pool.h"

namespace lema {
namespace {

// A call whose record lacks nothing but addresses.
class HostCall final : public BackendCall {
 public:
  HostCall(const Call& call, const Kernel& kernel) : kernel(kernel) {
    for (const Operand& operand : call.operands) {
      TensorView& view = record.operands[operand.index];
      view.dtype = operand.dtype;
      view.rank = operand.rank;
      for (int axis = 0; axis < operand.rank; ++axis) view.dim[axis] = operand.dim[axis];
      record.accumulate[operand.index] = operand.accumulate;
    }
    for (size_t i = 0; i < call.attributes.size(); ++i) record.attributes[i] = call.attributes[i];
    if (call.workspace) workspace_bytes = call.workspace->bytes;
  }

  const Kernel& kernel;
  CallRecord record;
  size_t workspace_bytes = 0;
  std::unique_ptr<PreparedCall> prepared;
};

class HostLane final : public Lane {
 public:
  explicit HostLane(int threads) : pool_(threads) {}

  Status Await(Lane& other, uint64_t position) override {
    if (other.timeline().Await(position)) return Status::Ok();
    return Status(StatusCode::kCancelled, "stopped");
  }

  Status Copy(std::byte* to, const std::byte* from, uint64_t bytes) override {
    std::memcpy(to, from, bytes);
    return Status::Ok();
  }

  Status Launch(const BackendCall& call, std::span<std::byte* const> operands, std::byte* workspace) override {
    const auto& host = static_cast<const HostCall&>(call);
    CallRecord record = host.record;
    for (size_t i = 0; i < operands.size(); ++i) record.operands[i].data = operands[i];
    KernelContext context{pool_, {workspace, host.workspace_bytes}};
    return host.kernel.launch(record, host.prepared.get(), context);
  }

  Status Complete(uint64_t position) override {
    timeline().Complete(position);
    return Status::Ok();
  }

 private:
  ThreadPool pool_;
};

}  // namespace

Status HostBackend::Upload(std::byte* to, const void* from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
  return Status::Ok();
}

Status HostBackend::Download(void* to, const std::byte* from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
  return Status::Ok();
}

Status HostBackend::Prepare(const Call& call, LaneId lane, std::unique_ptr<BackendCall>* prepared) {
  const Kernel& kernel = kernels_[call.op];
  auto made = std::make_unique<HostCall>(call, kernel);
  Preparation preparation;
  LEMA_RETURN_IF_ERROR(kernel.prepare(made->record, lane == LaneId::kHost ? host_threads_ : threads_, &preparation));
  if (preparation.workspace_bytes > made->workspace_bytes) {
    return Status(StatusCode::kInvalidArgument, Cat(OpName(call.op), " needs a workspace of ", preparation.workspace_bytes,
                                                    " bytes, and ", made->workspace_bytes, " are planned"));
  }
  made->prepared = std::move(preparation.call);
  *prepared = std::move(made);
  return Status::Ok();
}

Status HostBackend::MakeLane(LaneId lane, std::unique_ptr<Lane>* made) {
  *made = std::make_unique<HostLane>(lane == LaneId::kCompute ? threads_ : lane == LaneId::kHost ? host_threads_ : 1);
  return Status::Ok();
}

}  // namespace lema
