#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__x86_64__)
// Saves the registers that a call must keep on the old stack, and takes those of the new one.
extern "C" void lema_switch_stack(void** save, void* load);
asm(R"(
.text
.hidden lema_switch_stack
.globl lema_switch_stack
.type lema_switch_stack, @function
lema_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lema_switch_stack, .-lema_switch_stack
)");
#endif

namespace lema::emulation {

Fiber::Fiber() {
  void* const memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // A stack that overflows meets a page that nobody may touch.
  mprotect(memory, 4096, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory);
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

#if defined(__x86_64__)

void Fiber::Reset(Entry entry) {
  auto* top = reinterpret_cast<uint64_t*>(stack_ + kStackBytes);
  *--top = 0;  // as if called: the stack is 16-aligned before the return address
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = 0;
  inside_ = top;
}

void Fiber::Enter() { lema_switch_stack(&outside_, inside_); }
void Fiber::Leave() { lema_switch_stack(&inside_, outside_); }

#else

void Fiber::Reset(Entry entry) {
  getcontext(&inside_);
  inside_.uc_stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = kStackBytes};
  inside_.uc_link = nullptr;
  makecontext(&inside_, entry, 0);
}

void Fiber::Enter() { swapcontext(&outside_, &inside_); }
void Fiber::Leave() { swapcontext(&inside_, &outside_); }

#endif

}  // namespace lema::emulation
