#include "cuda/device_lane.h"

#include <algorithm>

#include "cuda/capability.h"

namespace lema::cuda {
namespace {

Status Stopped() { return Status(StatusCode::kCancelled, "stopped"); }

}  // namespace

DeviceCall::DeviceCall(const Call& call) : kernel(kDeviceKernels[call.op]) {
  for (const Operand& operand : call.operands) {
    TensorView& view = record.operands[operand.index];
    view.dtype = operand.dtype;
    view.rank = operand.rank;
    for (int axis = 0; axis < operand.rank; ++axis) view.dim[axis] = operand.dim[axis];
    record.accumulate[operand.index] = operand.accumulate;
  }
  for (size_t i = 0; i < call.attributes.size(); ++i) record.attributes[i] = call.attributes[i];
}

Status DeviceLane::Make(const LibraryProducts* library, std::unique_ptr<DeviceLane>* lane) {
  std::unique_ptr<DeviceLane> made(new DeviceLane(library));
  LEMA_RETURN_IF_ERROR(made->Create());
  *lane = std::move(made);
  return Status::Ok();
}

Status DeviceLane::Create() {
  LEMA_RETURN_IF_ERROR(FindCapability(&capability_));
  LEMA_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  LEMA_CUDA(cudaEventCreateWithFlags(&origin_, cudaEventDefault));
  for (cudaEvent_t& event : begins_) LEMA_CUDA(cudaEventCreateWithFlags(&event, cudaEventDefault));
  // The follower sleeps until an instruction has ended, it does not burn a core of the host's lanes.
  for (cudaEvent_t& event : ends_) LEMA_CUDA(cudaEventCreateWithFlags(&event, cudaEventBlockingSync));
  void* fault = nullptr;
  LEMA_CUDA(cudaHostAlloc(&fault, sizeof(DeviceFault), cudaHostAllocMapped));
  fault_ = static_cast<DeviceFault*>(fault);
  fault_->code = 0;
  LEMA_CUDA(cudaEventRecord(origin_, stream_));
  follower_ = std::make_unique<Thread>([this] { Follow(); });
  return Status::Ok();
}

DeviceLane::~DeviceLane() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  follower_.reset();
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (const cudaEvent_t event : begins_) {
    if (event != nullptr) (void)cudaEventDestroy(event);
  }
  for (const cudaEvent_t event : ends_) {
    if (event != nullptr) (void)cudaEventDestroy(event);
  }
  if (origin_ != nullptr) (void)cudaEventDestroy(origin_);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
  if (fault_ != nullptr) (void)cudaFreeHost(fault_);
}

void DeviceLane::Begin(std::span<LaneTime> times) {
  const std::lock_guard lock(mutex_);
  timeline().Reset();
  times_ = times;
  begun_ = false;
  submitted_ = followed_ = ended_ = 0;
  stopped_ = false;
  fault_->code = 0;
  status_ = FromCuda(cudaEventRecord(origin_, stream_), "the begin of a part");
}

Status DeviceLane::Await(Lane& other, uint64_t position) {
  if (&other == this) return Status::Ok();  // a stream keeps its order
  if (auto* device = dynamic_cast<DeviceLane*>(&other)) return device->MakeWait(stream_, position);
  return other.timeline().Await(position) ? Status::Ok() : Stopped();
}

// The event of `position` belongs to no other instruction while the lock is held and the position has not ended.
Status DeviceLane::MakeWait(cudaStream_t stream, uint64_t position) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || submitted_ >= position; });
  if (stopped_) return Stopped();
  if (followed_ >= position) return Status::Ok();
  return FromCuda(cudaStreamWaitEvent(stream, ends_[position % kAhead], 0), "a wait between streams");
}

Status DeviceLane::BeginInstruction() {
  if (begun_) return Status::Ok();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || submitted_ + 1 - followed_ <= kAhead; });
  if (stopped_) return Stopped();
  LEMA_CUDA(cudaEventRecord(begins_[(submitted_ + 1) % kAhead], stream_));
  begun_ = true;
  return Status::Ok();
}

Status DeviceLane::Copy(std::byte* to, const std::byte* from, uint64_t bytes) {
  LEMA_RETURN_IF_ERROR(BeginInstruction());
  return FromCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "a copy");
}

Status DeviceLane::Launch(const BackendCall& call, std::span<std::byte* const> operands, std::byte* workspace) {
  LEMA_RETURN_IF_ERROR(BeginInstruction());
  const auto& device = static_cast<const DeviceCall&>(call);
  CallRecord record = device.record;
  for (size_t i = 0; i < operands.size(); ++i) record.operands[i].data = operands[i];
  return device.kernel.launch(record, {stream_, workspace, device.workspace_bytes, fault_, capability_, library_});
}

Status DeviceLane::Complete(uint64_t position) {
  LEMA_RETURN_IF_ERROR(BeginInstruction());
  begun_ = false;
  {
    const std::lock_guard lock(mutex_);
    LEMA_CUDA(cudaEventRecord(ends_[position % kAhead], stream_));
    submitted_ = position;
  }
  changed_.notify_all();
  return Status::Ok();
}

Status DeviceLane::Drain(uint64_t* ended) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return followed_ == submitted_; });
  *ended = ended_;
  return status_;
}

void DeviceLane::Stop() {
  timeline().Stop();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

int64_t DeviceLane::Since(cudaEvent_t event) const {
  float milliseconds = 0.0f;
  if (cudaEventElapsedTime(&milliseconds, origin_, event) != cudaSuccess) return 0;
  return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
}

// What kernels found in their data up to here.
Status DeviceLane::Look() {
  if (fault_->code == 0) return Status::Ok();
  return Status(static_cast<StatusCode>(fault_->code), Cat("a kernel found ", static_cast<int32_t>(fault_->value), " at ",
                                                           static_cast<int64_t>(fault_->at), " of its data"));
}

void DeviceLane::Follow() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || followed_ < submitted_; });
    if (followed_ == submitted_) return;
    const uint64_t position = followed_ + 1;
    lock.unlock();
    const cudaEvent_t end = ends_[position % kAhead];
    Status status = FromCuda(cudaEventSynchronize(end), "a kernel or copy on the device");
    if (status.ok()) status = Look();
    const LaneTime time{Since(begins_[position % kAhead]), Since(end)};
    lock.lock();
    if (status_.ok()) status_ = std::move(status);
    if (status_.ok()) {
      ended_ = position;
      if (position <= times_.size()) times_[position - 1] = {time.start, std::max<int64_t>(time.end, 1)};
      timeline().Complete(position);
    } else {
      // Whoever waits for this lane gives up; the cause stays here until Drain.
      timeline().Stop();
      stopped_ = true;
    }
    followed_ = position;
    changed_.notify_all();
  }
}

}  // namespace lema::cuda
