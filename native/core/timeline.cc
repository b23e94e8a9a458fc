#include "core/timeline.h"

#include <thread>

namespace lema {

void Timeline::Complete(uint64_t position) {
  uint64_t before = value_.load(std::memory_order_relaxed);
  while (before != kStopped && !value_.compare_exchange_weak(before, position, std::memory_order_release)) {
  }
  WakeAll();
}

// The lock orders the new value against a waiter that has looked and is about to sleep.
void Timeline::WakeAll() {
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

bool Timeline::Await(uint64_t position) const {
  constexpr int kSpins = 64;  // a hand-over between lanes is usually microseconds away
  for (int spin = 0;; ++spin) {
    const uint64_t value = value_.load(std::memory_order_acquire);
    if (value == kStopped) return false;
    if (value >= position) return true;
    if (spin < kSpins) {
      std::this_thread::yield();
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return value_.load(std::memory_order_acquire) != value; });
    }
  }
}

void Timeline::Stop() {
  value_.store(kStopped, std::memory_order_release);
  WakeAll();
}

}  // namespace lema
