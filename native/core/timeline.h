// How far a lane has come: a counter that only grows during a part. A lane's instructions end in order, so one number
// says which of them have ended, and waiting for an instruction is waiting for a value. Stop() wakes every waiter.
#pragma once

#include <atomic>
#include <cstdint>

namespace lema {

class Timeline {
 public:
  // Back to zero; only while nobody waits.
  void Reset() { value_.store(0, std::memory_order_release); }

  // `position` instructions of this lane have ended.
  void Complete(uint64_t position);

  // Blocks until `position` instructions have ended (true) or the timeline was stopped (false).
  bool Await(uint64_t position) const;

  // Ends all present and future waits until the next Reset.
  void Stop();

 private:
  static constexpr uint64_t kStopped = UINT64_MAX;
  std::atomic<uint64_t> value_{0};
};

}  // namespace lema
