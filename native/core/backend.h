// What the executor asks of a device, and all it knows of one. core_conformance.cc is written against this interface
// alone; every backend passes it unchanged.
//
// A backend owns one arena a tier, prepares kernel calls at load, and makes lanes. A lane does what it is given in
// order. On a host backend a lane works inside the call; on a device a call only submits, and `Complete` lets the
// timeline advance when the device gets there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/plan.h"
#include "core/status.h"
#include "core/timeline.h"

namespace lema {

// A call made ready at load: primitives created, shapes final, workspace within the planned ceiling.
class BackendCall {
 public:
  virtual ~BackendCall() = default;
};

class Lane {
 public:
  virtual ~Lane() = default;

  // What follows starts after `position` instructions of `other` have ended; kCancelled when stopped meanwhile.
  virtual Status Await(Lane& other, uint64_t position) = 0;
  // Copies between or within arenas.
  virtual Status Copy(std::byte* to, const std::byte* from, uint64_t bytes) = 0;
  // `operands`: one address for each operand that the op declares, null where absent.
  virtual Status Launch(const BackendCall& call, std::span<std::byte* const> operands, std::byte* workspace) = 0;
  // All that was given so far ends instruction `position` (1-based) of this lane.
  virtual Status Complete(uint64_t position) = 0;

  Timeline& timeline() { return timeline_; }

 private:
  Timeline timeline_;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;
  // Once for each arena; zero-filled.
  virtual Status AllocateArena(ArenaId arena, uint64_t bytes) = 0;
  // First byte of an arena, 4096-aligned; an address of the arena's own memory, which the host may be unable to
  // dereference in `vram`. The `ram` arena is always host memory.
  virtual std::byte* Address(ArenaId arena) const = 0;
  // Host ↔ arena, outside of any run; returns when done. The caller has checked the range.
  virtual Status Upload(std::byte* to, const void* from, uint64_t bytes) = 0;
  virtual Status Download(void* to, const std::byte* from, uint64_t bytes) = 0;
  // kInvalidArgument when the kernel needs more workspace than the call grants.
  virtual Status Prepare(const Call& call, std::unique_ptr<BackendCall>* prepared) = 0;
  virtual std::unique_ptr<Lane> MakeLane(LaneId lane) = 0;
};

struct BackendOptions {
  std::string_view name;  // "cpu" | "reference"
  int threads;            // of the compute lane
};

// kInvalidArgument for a name that this build does not have.
Status MakeBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace lema
