#include "io/throttle.h"

#include <algorithm>
#include <thread>

namespace lema {

void Throttle::Pass(uint64_t bytes, const std::atomic<bool>& stop) {
  if (rate_ == 0) return;
  Clock::time_point end;
  {
    const std::lock_guard lock(mutex_);
    const auto seconds = std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_));
    free_ = std::max(free_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(seconds);
    end = free_;
  }
  constexpr auto kSlice = std::chrono::milliseconds(5);
  for (auto now = Clock::now(); now < end && !stop.load(std::memory_order_relaxed); now = Clock::now()) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kSlice, end - now));
  }
}

}  // namespace lema
