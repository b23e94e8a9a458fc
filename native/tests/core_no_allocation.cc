// Replaces the C++ allocator of this executable by one that counts, and asks that a run of a part takes nothing.
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "core/engine.h"
#include "tests/core_commands.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};

void* TryTake(std::size_t bytes, std::size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}

void* Take(std::size_t bytes, std::size_t alignment) {
  void* const memory = TryTake(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kPlain = alignof(std::max_align_t);
}  // namespace

// The other forms are defined by these.
void* operator new(std::size_t bytes) { return Take(bytes, kPlain); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return Take(bytes, static_cast<std::size_t>(alignment)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return TryTake(bytes, kPlain); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace lema::test {

int CountAllocations(const PlanFiles& files) {
  for (const bool serial : {false, true}) {
    Engine engine({"cpu", serial, {}});
    if (Failure failure = engine.Load(files.plan, files.weights); !failure.status.ok()) {
      std::printf("%s\n", failure.status.message().c_str());
      return 1;
    }
    RunRequest step;
    step.part = 1;
    for (int time = 0; time < 2; ++time) {
      RunStats stats;
      counting.store(true);
      const bool ran = engine.Run(step, &stats).status.ok();
      counting.store(false);
      std::printf("%s run %d: %d allocations\n", serial ? "serial" : "parallel", time, allocations.load());
      if (!ran || allocations.load() != 0) return 1;
    }
  }
  // The counter counts.
  counting.store(true);
  delete new int(1);
  counting.store(false);
  return allocations.load() == 1 ? 0 : 1;
}

}  // namespace lema::test
