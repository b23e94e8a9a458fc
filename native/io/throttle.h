// Holds a byte stream to a rate, for tests and for showing what a slow disk does: each transfer books its time on one
// common line and sleeps until its end. The stop flag cuts the sleep.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace lema {

class Throttle {
 public:
  // Zero: no limit.
  explicit Throttle(uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  void Pass(uint64_t bytes, const std::atomic<bool>& stop);

 private:
  using Clock = std::chrono::steady_clock;
  const uint64_t rate_;
  std::mutex mutex_;
  Clock::time_point free_;
};

}  // namespace lema
