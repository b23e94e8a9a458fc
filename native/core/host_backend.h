// The cpu and reference backends: both tiers are host memory (`vram` is emulated, a copy is a memcpy on its lane),
// kernels come from a generated table. The compute lane shares its work among `threads` threads; the host lane runs
// its kernels on `host_threads`, one where the processor computes too, so that both may run at once.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "core/arena.h"
#include "core/backend.h"
#include "generated/ops.h"

namespace lema {

class HostBackend final : public Backend {
 public:
  HostBackend(std::string_view name, const std::array<Kernel, kOpCount>& kernels, int threads, int host_threads = 1)
      : name_(name), kernels_(kernels), threads_(threads), host_threads_(host_threads) {}

  std::string_view name() const override { return name_; }
  Status AllocateArena(ArenaId arena, uint64_t bytes) override { return arenas_[static_cast<int>(arena)].Allocate(bytes); }
  std::byte* Address(ArenaId arena) const override { return arenas_[static_cast<int>(arena)].data(); }
  Status Upload(std::byte* to, const void* from, uint64_t bytes) override;
  Status Download(void* to, const std::byte* from, uint64_t bytes) override;
  Status Prepare(const Call& call, LaneId lane, std::unique_ptr<BackendCall>* prepared) override;
  Status MakeLane(LaneId lane, std::unique_ptr<Lane>* made) override;

 private:
  const std::string_view name_;
  const std::array<Kernel, kOpCount>& kernels_;
  const int threads_;
  const int host_threads_;
  std::array<Arena, kArenaCount> arenas_;
};

}  // namespace lema
