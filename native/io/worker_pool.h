// A few threads that do blocking work (reads) together with the caller. Made at load; a run allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/thread.h"

namespace lema {

class WorkerPool {
 public:
  explicit WorkerPool(int workers);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int workers() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls task(i, worker) for every i in [0, count), on at most `limit` workers (worker < limit); returns when all
  // are done. One call at a time.
  template <typename Task>
  void ForEach(uint64_t count, int limit, const Task& task) {
    Run(count, limit, [](const void* context, uint64_t i, int worker) { (*static_cast<const Task*>(context))(i, worker); },
        &task);
  }

 private:
  using Entry = void (*)(const void* context, uint64_t i, int worker);
  void Run(uint64_t count, int limit, Entry entry, const void* context);
  void Work(int worker);
  void Close();
  void Loop(int worker);

  Entry entry_ = nullptr;
  const void* context_ = nullptr;
  uint64_t count_ = 0;
  int limit_ = 0;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint32_t> round_{0};
  std::atomic<uint32_t> busy_{0};
  std::atomic<bool> closing_{false};
  std::vector<Thread> threads_;
};

}  // namespace lema
