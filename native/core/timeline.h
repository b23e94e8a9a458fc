// How far a lane has come: a counter that only grows during a part. A lane's instructions end in order, so one number
// says which of them have ended, and waiting for an instruction is waiting for a value. Stop() wakes every waiter.
//
// A condition variable, not std::atomic::wait: who waits and who notifies may be code of two shared objects (the CUDA
// backend is one), each of which has a table of atomic waiters of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

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
  void WakeAll();

  std::atomic<uint64_t> value_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
};

}  // namespace lema
