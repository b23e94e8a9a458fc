// The threads that share the tasks of a call.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "tests/check.h"

namespace lema {
namespace {

using std::chrono::milliseconds;

TEST(ThreadPoolDoesEachTaskOnce) {
  ThreadPool pool(8);
  for (int call = 0; call < 2000; ++call) {
    std::vector<std::atomic<int>> done(static_cast<size_t>(call % 40));
    pool.ParallelFor(call % 40, [&](int64_t i, int) { done[static_cast<size_t>(i)].fetch_add(1); });
    CHECK(std::all_of(done.begin(), done.end(), [](const auto& times) { return times.load() == 1; }));
  }
}

std::atomic<bool> asleep{false}, awake{false};

// A thread that gets this signal does nothing until it is woken, as one that gets no processor.
void Sleep(int) {
  asleep.store(true);
  while (!awake.load()) std::this_thread::sleep_for(milliseconds(1));
}

TEST(ThreadPoolDoesNotWaitForAThreadThatHasNotBegun) {
  ThreadPool pool(2);
  pthread_t worker{};
  std::atomic<bool> known{false};
  pool.ParallelFor(2, [&](int64_t, int thread) {
    if (thread == 1) {
      worker = pthread_self();
      known.store(true);
    }
    while (!known.load()) std::this_thread::yield();
  });

  struct sigaction action{}, before{};
  action.sa_handler = Sleep;
  sigaction(SIGUSR1, &action, &before);
  pthread_kill(worker, SIGUSR1);
  while (!asleep.load()) std::this_thread::yield();
  // Wakes the worker when the call hangs, so that the test ends.
  std::atomic<bool> returned{false};
  std::thread watch([&] {
    for (int i = 0; i < 5000 && !returned.load(); ++i) std::this_thread::sleep_for(milliseconds(1));
    awake.store(true);
  });
  std::atomic<int> done{0};
  pool.ParallelFor(100, [&](int64_t, int) { done.fetch_add(1); });
  CHECK(!awake.load());
  CHECK(done.load() == 100);
  returned.store(true);
  watch.join();
  // The sleeper comes back to the pool as if nothing had been.
  for (int call = 0; call < 100; ++call) pool.ParallelFor(100, [&](int64_t, int) { done.fetch_add(1); });
  CHECK(done.load() == 100 + 100 * 100);
  sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace lema
