// A fixed set of threads, the caller among them, that share the tasks of one call at a time. Threads take the next
// task from a counter; which thread runs a task never shows in a result. A call waits for the threads that have begun one
// of its tasks and for no other: where the machine has other work, the caller does what a sleeping thread would have done.
// Nothing is allocated after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/kernel.h"

namespace lema {

class ThreadPool final : public TaskRunner {
 public:
  // `threads` ≥ 1, the calling thread included.
  explicit ThreadPool(int threads);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const override { return static_cast<int>(workers_.size()) + 1; }

 protected:
  void Run(int64_t count, Entry entry, const void* context) override;

 private:
  void Work(int thread);
  void TakeTasks(int thread);
  // Whether the calling worker takes part in the round that is open; then it must Leave.
  bool Enter();
  void Leave();

  // The call under way; written while no worker is inside.
  Entry entry_ = nullptr;
  const void* context_ = nullptr;
  int64_t count_ = 0;

  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> round_{0};    // grows with every call, and once to close
  alignas(64) std::atomic<uint32_t> inside_;      // workers that may touch the call, and whether it is closed to more
  std::atomic<bool> closing_{false};
  std::vector<std::thread> workers_;
};

}  // namespace lema
