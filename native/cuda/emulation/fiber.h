// A stack that can be left in the middle and entered again. Switching is by hand where we know how, since swapcontext
// asks the kernel about signals each time.
#pragma once

#include <cstddef>
#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace lema::emulation {

class Fiber {
 public:
  using Entry = void (*)();

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next Enter begins `entry` on an empty stack. `entry` never returns: it leaves for the last time.
  void Reset(Entry entry);
  // From the scheduler into the fiber, and back; both on one thread.
  void Enter();
  void Leave();

 private:
  static constexpr size_t kStackBytes = 64 << 10;
  std::byte* stack_;
#if defined(__x86_64__)
  void* inside_ = nullptr;
  void* outside_ = nullptr;
#else
  ucontext_t inside_, outside_;
#endif
};

}  // namespace lema::emulation
