#include "io/worker_pool.h"

namespace lema {

WorkerPool::WorkerPool(int workers) {
  try {
    for (int worker = 1; worker < workers; ++worker) threads_.emplace_back([this, worker] { Loop(worker); });
  } catch (...) {
    Close();  // else those that did start would be waited for for ever
    throw;
  }
}

WorkerPool::~WorkerPool() { Close(); }

void WorkerPool::Close() {
  closing_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  threads_.clear();
}

void WorkerPool::Run(uint64_t count, int limit, Entry entry, const void* context) {
  entry_ = entry;
  context_ = context;
  count_ = count;
  limit_ = limit;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<uint32_t>(threads_.size()), std::memory_order_relaxed);
  if (count > 1 && limit > 1 && !threads_.empty()) {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    Work(0);
    for (uint32_t busy; (busy = busy_.load(std::memory_order_acquire)) != 0;) busy_.wait(busy);
  } else {
    Work(0);
  }
}

void WorkerPool::Work(int worker) {
  if (worker >= limit_) return;
  for (uint64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) entry_(context_, i, worker);
}

void WorkerPool::Loop(int worker) {
  uint32_t seen = 0;
  for (;;) {
    round_.wait(seen, std::memory_order_acquire);
    seen = round_.load(std::memory_order_acquire);
    if (closing_.load(std::memory_order_relaxed)) return;
    Work(worker);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
  }
}

}  // namespace lema
