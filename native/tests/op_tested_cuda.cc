// The device's kernels behind the interface of the host's: operands are copied to the device at the same distance from a
// cache line, the kernel runs in a stream, what it may write is copied back. Memory around each operand must stay as it
// was. Built against the emulated runtime, and by nvcc against the real one.
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "core/text.h"
#include "cuda/attention_path.h"
#include "cuda/capability.h"
#include "cuda/launch.h"
#include "cuda/library_products.h"
#include "cuda/product_path.h"
#include "generated/cuda_ops.h"
#include "op_tested.h"

namespace lema::test {
namespace {

using cuda::FromCuda;

constexpr size_t kGuard = 256;
constexpr unsigned char kFill = 0xa5;

// Bytes on the device, `past` bytes behind a multiple of kGuard, between guards.
class DeviceBytes {
 public:
  DeviceBytes(size_t bytes, size_t past) : bytes_(bytes), past_(past) {}
  DeviceBytes(DeviceBytes&& other) noexcept
      : bytes_(other.bytes_), past_(other.past_), memory_(std::exchange(other.memory_, nullptr)) {}
  ~DeviceBytes() {
    if (memory_ != nullptr) (void)cudaFree(memory_);
  }

  Status Allocate() {
    LEMA_CUDA(cudaMalloc(&memory_, Whole()));
    return FromCuda(cudaMemset(memory_, kFill, Whole()), "guards");
  }
  std::byte* data() const { return static_cast<std::byte*>(memory_) + kGuard + past_; }
  Status CheckGuards() const {
    std::vector<unsigned char> whole(Whole());
    LEMA_CUDA(cudaMemcpy(whole.data(), memory_, Whole(), cudaMemcpyDefault));
    for (size_t i = 0; i < whole.size(); ++i) {
      const bool inside = i >= kGuard + past_ && i < kGuard + past_ + bytes_;
      if (!inside && whole[i] != kFill) return Status(StatusCode::kKernelError, "wrote beside an operand");
    }
    return Status::Ok();
  }

 private:
  size_t Whole() const { return bytes_ + 2 * kGuard + past_; }

  size_t bytes_, past_;
  void* memory_ = nullptr;
};

// Ordered behind copies and fills that name no stream.
struct TestStream {
  TestStream() {
    status = cuda::FindCapability(&capability);
    if (status.ok()) status = FromCuda(cudaStreamCreateWithFlags(&stream, cudaStreamDefault), "a stream");
    void* memory = nullptr;
    if (status.ok()) status = FromCuda(cudaHostAlloc(&memory, sizeof(cuda::DeviceFault), cudaHostAllocMapped), "a fault");
    fault = static_cast<cuda::DeviceFault*>(memory);
  }
  ~TestStream() {
    if (stream != nullptr) (void)cudaStreamDestroy(stream);
    if (fault != nullptr) (void)cudaFreeHost(fault);
  }
  Status status;
  cudaStream_t stream = nullptr;
  cuda::DeviceFault* fault = nullptr;
  int capability = 0;
};

// One for all calls, as an engine has.
cuda::LibraryProducts* Library() {
  static const std::unique_ptr<cuda::LibraryProducts> library = [] {
    int capability = 0;
    return cuda::FindCapability(&capability).ok() ? cuda::LibraryProducts::Find(capability) : nullptr;
  }();
  return library.get();
}

Status Prepare(uint32_t op, const CallRecord& call, Preparation* preparation) {
  // What it takes when it may have anything, then half of it: kernels that work in parts do.
  cuda::DevicePreparation wanted{.granted_bytes = size_t{1} << 40, .library = Library()};
  LEMA_RETURN_IF_ERROR(cuda::kDeviceKernels[op].prepare(call, &wanted));
  cuda::DevicePreparation half{.granted_bytes = wanted.workspace_bytes / 2};
  LEMA_RETURN_IF_ERROR(cuda::kDeviceKernels[op].prepare(call, &half));
  preparation->workspace_bytes = half.workspace_bytes;
  return Status::Ok();
}

Status Launch(uint32_t op, const CallRecord& call, size_t workspace_bytes) {
  static TestStream stream;
  LEMA_RETURN_IF_ERROR(Status(stream.status));
  CallRecord on_device = call;
  std::vector<std::pair<size_t, DeviceBytes>> operands;
  for (size_t i = 0; i < kOps[op].operands.size(); ++i) {
    const TensorView& view = call.operands[i];
    if (!view.present()) continue;
    DeviceBytes& made = operands.emplace_back(i, DeviceBytes(view.bytes(), reinterpret_cast<uintptr_t>(view.data) % 64)).second;
    LEMA_RETURN_IF_ERROR(made.Allocate());
    LEMA_CUDA(cudaMemcpy(made.data(), view.data, view.bytes(), cudaMemcpyDefault));
    on_device.operands[i].data = made.data();
  }
  DeviceBytes workspace(workspace_bytes, 0);
  LEMA_RETURN_IF_ERROR(workspace.Allocate());
  LEMA_CUDA(cudaMemset(workspace.data(), 0xff, workspace_bytes));
  stream.fault->code = 0;
  LEMA_RETURN_IF_ERROR(cuda::kDeviceKernels[op].launch(on_device, {stream.stream, workspace.data(), workspace_bytes, stream.fault, stream.capability, Library()}));
  LEMA_CUDA(cudaStreamSynchronize(stream.stream));
  if (stream.fault->code != 0) return Status(static_cast<StatusCode>(static_cast<int32_t>(stream.fault->code)), "a fault");
  LEMA_RETURN_IF_ERROR(workspace.CheckGuards());
  for (const auto& [i, bytes] : operands) {
    LEMA_RETURN_IF_ERROR(bytes.CheckGuards());
    if (kOps[op].operands[i].access == Access::kRead) continue;
    LEMA_CUDA(cudaMemcpy(call.operands[i].data, bytes.data(), call.operands[i].bytes(), cudaMemcpyDefault));
  }
  return Status::Ok();
}

template <uint32_t... kOp>
std::array<Kernel, kOpCount> Adapt(std::integer_sequence<uint32_t, kOp...>) {
  return {{{[](const CallRecord& call, int, Preparation* preparation) { return Prepare(kOp, call, preparation); },
            [](const CallRecord& call, PreparedCall*, KernelContext& context) {
              return Launch(kOp, call, context.workspace.bytes);
            }}...}};
}

}  // namespace

const std::array<Kernel, kOpCount>& TestedKernels() {
  static const std::array<Kernel, kOpCount> kernels = Adapt(std::make_integer_sequence<uint32_t, kOpCount>{});
  return kernels;
}

// A device has its own; the addresses are what matters.
std::span<const int> TestedThreads() {
  static constexpr int kThreads[] = {1};
  return kThreads;
}

bool TestedRoundsToF16() {
  int capability = 0;
  return cuda::FindCapability(&capability).ok() && cuda::MultipliesF16(cuda::kShallow + 1, DType::kF16, capability);
}

bool TestedRoundsProbabilities(int64_t size) {
  int capability = 0;
  if (!cuda::FindCapability(&capability).ok()) return false;
  const cuda::AttentionPath path = cuda::AttentionPathOf(size, true, capability);
  return path == cuda::AttentionPath::kWarpgroup64 || path == cuda::AttentionPath::kWarpgroup128;
}

std::string TestedName() {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, 0); error != cudaSuccess) return cudaGetErrorString(error);
  int capability = 0;
  if (const Status status = cuda::FindCapability(&capability); !status.ok()) return status.message();
  return Cat("device: ", properties.name, ", kernels for sm_", capability);
}

}  // namespace lema::test
