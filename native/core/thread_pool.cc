#include "core/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lema {
namespace {

// Calls follow one another within microseconds inside a step: spin that long, then sleep.
constexpr int kSpins = 4000;

// The flag beside the number of workers in `inside_`: no more may come in.
constexpr uint32_t kClosed = 1u << 31;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Returns when `value` is no longer `old`.
uint32_t AwaitChange(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (const uint32_t now = value.load(std::memory_order_acquire); now != old) return now;
    Pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) : inside_(kClosed) {
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { Work(thread); });
}

ThreadPool::~ThreadPool() {
  closing_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int64_t count, Entry entry, const void* context) {
  if (workers_.empty() || count <= 1) {
    for (int64_t i = 0; i < count; ++i) entry(context, i, 0);
    return;
  }
  entry_ = entry;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  inside_.store(0, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  TakeTasks(0);
  inside_.fetch_or(kClosed, std::memory_order_relaxed);
  for (uint32_t now; (now = inside_.load(std::memory_order_acquire)) != kClosed;) AwaitChange(inside_, now);
}

void ThreadPool::TakeTasks(int thread) {
  for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) entry_(context_, i, thread);
}

bool ThreadPool::Enter() {
  uint32_t now = inside_.load(std::memory_order_relaxed);
  while ((now & kClosed) == 0) {
    if (inside_.compare_exchange_weak(now, now + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  }
  return false;
}

void ThreadPool::Leave() {
  if (inside_.fetch_sub(1, std::memory_order_release) == kClosed + 1) inside_.notify_one();
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (true) {
    seen = AwaitChange(round_, seen);
    if (closing_.load(std::memory_order_relaxed)) return;
    // By now it may be the next round, which is as good, or none.
    if (!Enter()) continue;
    TakeTasks(thread);
    Leave();
  }
}

}  // namespace lema
