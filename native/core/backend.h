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

// When an instruction began and ended on a device, in nanoseconds since the part began.
struct LaneTime {
  int64_t start = 0;
  int64_t end = 0;
};

class Lane {
 public:
  virtual ~Lane() = default;

  // Before a part, while nothing is under way: back to position 0. A device puts the times of instruction i at
  // times[i − 1]; a host lane leaves them alone, since the caller knows them.
  virtual void Begin(std::span<LaneTime> times) {
    (void)times;
    timeline_.Reset();
  }
  // What follows starts after `position` instructions of `other` have ended; kCancelled when stopped meanwhile.
  virtual Status Await(Lane& other, uint64_t position) = 0;
  // Copies between or within arenas.
  virtual Status Copy(std::byte* to, const std::byte* from, uint64_t bytes) = 0;
  // `operands`: one address for each operand that the op declares, null where absent.
  virtual Status Launch(const BackendCall& call, std::span<std::byte* const> operands, std::byte* workspace) = 0;
  // All that was given so far ends instruction `position` (1-based) of this lane.
  virtual Status Complete(uint64_t position) = 0;
  // Returns when nothing of what was given is under way, also after a failure: the first one that the device reported,
  // and how many instructions ended before it.
  virtual Status Drain(uint64_t* ended) {
    (void)ended;
    return Status::Ok();
  }
  // From any thread: ends the waits on this lane, here and in other lanes, until the next Begin.
  virtual void Stop() { timeline_.Stop(); }

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
  // Bytes in use on the device that holds the `vram` arena, by whomever; 0 where that is host memory.
  virtual Status DeviceBytes(uint64_t* in_use) const {
    *in_use = 0;
    return Status::Ok();
  }
  // For one of the lanes that compute. kInvalidArgument when the kernel needs more workspace than the call grants.
  virtual Status Prepare(const Call& call, LaneId lane, std::unique_ptr<BackendCall>* prepared) = 0;
  virtual Status MakeLane(LaneId lane, std::unique_ptr<Lane>* made) = 0;
};

struct BackendOptions {
  std::string_view name;  // "cpu" | "reference" | "cuda" | "cuda-emulated"
  int threads;            // of the compute lane
};

// kInvalidArgument for a name that this build does not have.
Status MakeBackend(const BackendOptions& options, std::unique_ptr<Backend>* backend);

}  // namespace lema
