#include "cuda/cuda_backend.h"

#include "cuda/device_lane.h"

namespace lema::cuda {
namespace {

// cudaMalloc gives whole pages of this size at such addresses; smaller requests share one at less alignment.
constexpr uint64_t kDevicePage = 2u << 20;
constexpr uintptr_t kArenaAlignment = 4096;

// cudaMemset, and cudaMemcpy from memory that is not page-locked, return before the device is done; the lanes' streams
// wait for nothing but events.
Status Finished() { return FromCuda(cudaDeviceSynchronize(), "an upload"); }

bool OnDevice(LaneId lane) { return lane == LaneId::kCompute || lane == LaneId::kH2d || lane == LaneId::kD2h; }

}  // namespace

CudaBackend::~CudaBackend() {
  if (vram_ != nullptr) (void)cudaFree(vram_);
  if (pinned_) (void)cudaHostUnregister(host_->Address(ArenaId::kRam));
}

Status CudaBackend::AllocateArena(ArenaId arena, uint64_t bytes) {
  if (arena == ArenaId::kVram) return AllocateVram(bytes);
  LEMA_RETURN_IF_ERROR(host_->AllocateArena(arena, bytes));
  if (bytes == 0) return Status::Ok();
  const uint64_t pages = (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  LEMA_RETURN_IF_ERROR(FromCuda(cudaHostRegister(host_->Address(arena), pages, cudaHostRegisterPortable), "page-locking the ram arena"));
  pinned_ = true;
  return Status::Ok();
}

Status CudaBackend::AllocateVram(uint64_t bytes) {
  if (vram_ != nullptr) return Status(StatusCode::kInvalidArgument, "the arena is allocated already");
  if (bytes == 0) return Status::Ok();
  if (bytes > uint64_t{1} << 47) return Status(StatusCode::kResourceExhausted, Cat("an arena of ", bytes, " bytes"));
  void* memory = nullptr;
  const uint64_t pages = (bytes + kDevicePage - 1) / kDevicePage * kDevicePage;
  if (const cudaError_t error = cudaMalloc(&memory, pages); error != cudaSuccess) {
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    (void)cudaMemGetInfo(&free, &total);
    return FromCuda(error, Cat("a vram arena of ", bytes, " bytes, where ", free, " of ", total, " are free").c_str());
  }
  vram_ = static_cast<std::byte*>(memory);
  vram_bytes_ = bytes;
  if (reinterpret_cast<uintptr_t>(memory) % kArenaAlignment != 0) {
    return Status(StatusCode::kResourceExhausted, "the device gave memory that is not aligned to a page");
  }
  LEMA_RETURN_IF_ERROR(FromCuda(cudaMemset(memory, 0, pages), "clearing the vram arena"));
  return Finished();
}

Status CudaBackend::Upload(std::byte* to, const void* from, uint64_t bytes) {
  if (!InVram(to)) return host_->Upload(to, from, bytes);
  LEMA_RETURN_IF_ERROR(FromCuda(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "an upload"));
  return Finished();
}

Status CudaBackend::Download(void* to, const std::byte* from, uint64_t bytes) {
  if (!InVram(from)) return host_->Download(to, from, bytes);
  return FromCuda(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "a download");
}

Status CudaBackend::DeviceBytes(uint64_t* in_use) const {
  size_t free = 0, total = 0;
  LEMA_CUDA(cudaMemGetInfo(&free, &total));
  *in_use = total - free;
  return Status::Ok();
}

Status CudaBackend::Prepare(const Call& call, LaneId lane, std::unique_ptr<BackendCall>* prepared) {
  if (!OnDevice(lane)) return host_->Prepare(call, lane, prepared);
  auto made = std::make_unique<DeviceCall>(call);
  DevicePreparation preparation{.granted_bytes = call.workspace ? call.workspace->bytes : 0, .library = library_.get()};
  LEMA_RETURN_IF_ERROR(made->kernel.prepare(made->record, &preparation));
  if (preparation.workspace_bytes > preparation.granted_bytes) {
    return Status(StatusCode::kInvalidArgument, Cat("the kernel needs a workspace of ", preparation.workspace_bytes, " bytes, and ",
                                                    preparation.granted_bytes, " are planned"));
  }
  made->workspace_bytes = preparation.workspace_bytes;
  *prepared = std::move(made);
  return Status::Ok();
}

Status CudaBackend::MakeLane(LaneId lane, std::unique_ptr<Lane>* made) {
  if (!OnDevice(lane)) return host_->MakeLane(lane, made);
  std::unique_ptr<DeviceLane> device;
  LEMA_RETURN_IF_ERROR(DeviceLane::Make(library_.get(), &device));
  *made = std::move(device);
  return Status::Ok();
}

}  // namespace lema::cuda
