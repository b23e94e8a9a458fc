// The cuda backend: `vram` is one cudaMalloc, `ram` the host backend's arena, page-locked; compute and copies are
// streams, the disk and host lanes are the host backend's. Nothing is allocated once lanes and calls are made.
#pragma once

#include <memory>
#include <string_view>

#include "core/backend.h"
#include "cuda/launch.h"
#include "cuda/library_products.h"

namespace lema::cuda {

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::string_view name, std::unique_ptr<Backend> host, std::unique_ptr<LibraryProducts> library)
      : name_(name), host_(std::move(host)), library_(std::move(library)) {}
  ~CudaBackend() override;

  std::string_view name() const override { return name_; }
  Status AllocateArena(ArenaId arena, uint64_t bytes) override;
  std::byte* Address(ArenaId arena) const override { return arena == ArenaId::kVram ? vram_ : host_->Address(arena); }
  Status Upload(std::byte* to, const void* from, uint64_t bytes) override;
  Status Download(void* to, const std::byte* from, uint64_t bytes) override;
  Status DeviceBytes(uint64_t* in_use) const override;
  Status Prepare(const Call& call, LaneId lane, std::unique_ptr<BackendCall>* prepared) override;
  Status MakeLane(LaneId lane, std::unique_ptr<Lane>* made) override;

 private:
  Status AllocateVram(uint64_t bytes);
  bool InVram(const std::byte* at) const { return at >= vram_ && at < vram_ + vram_bytes_; }

  const std::string_view name_;
  const std::unique_ptr<Backend> host_;
  const std::unique_ptr<LibraryProducts> library_;  // null: all products are lema's own
  std::byte* vram_ = nullptr;
  uint64_t vram_bytes_ = 0;
  bool pinned_ = false;
};

}  // namespace lema::cuda
