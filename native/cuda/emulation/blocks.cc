#include "cuda/emulation/blocks.h"

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "core/text.h"
#include "cuda/emulation/fiber.h"

namespace lema::emulation {
namespace {

constexpr unsigned kWarp = 32;

enum class State { kRuns, kAtWarp, kAtBarrier, kDone };

struct Deferred {
  std::vector<std::function<void()>> open;                // of no group yet
  std::deque<std::vector<std::function<void()>>> groups;  // on their way, the oldest first
};

struct Thread {
  std::unique_ptr<Fiber> fiber = std::make_unique<Fiber>();
  ThreadPosition position;
  State state = State::kDone;
  int line = 0;        // of the barrier it waits at
  const char* file = "";
  unsigned turn = 0;   // warp operations so far; two slots suffice, since no lane is two ahead of another
  Deferred deferred[2];  // by Later
  bool shown = true;
};

struct Warp {
  uint64_t slots[2][kWarp];
  WarpRegisters registers[2];
};

struct SharedObject {
  const void* type;
  std::unique_ptr<std::byte[]> bytes;
  size_t size;
  bool live;
};

// One emulating thread's own world.
class BlockRunner {
 public:
  std::string Run(dim3 grid, dim3 block, const std::function<void()>& body);

  Thread& current() { return *threads_[current_]; }
  unsigned number() const { return current_; }
  Warp& warp() { return warps_[current_ / kWarp]; }
  const std::function<void()>& body() const { return *body_; }
  void* Shared(const void* type, size_t bytes);
  void Wait(State state) {
    Thread& self = current();
    self.state = state;
    self.fiber->Leave();
  }
  void SetFault(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }

 private:
  void RunBlock(unsigned count);
  void RunWarp(unsigned first, unsigned end);
  void PassBarrier(unsigned count);

  const std::function<void()>* body_ = nullptr;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  std::vector<SharedObject> shared_;
  unsigned current_ = 0;
  uint32_t epoch_ = 1;
  std::string fault_;
};

thread_local BlockRunner runner;

void ThreadMain() {
  runner.body()();
  for (const Deferred& deferred : runner.current().deferred) {
    if (deferred.open.empty() && deferred.groups.empty()) continue;
    Fault("a thread that ends before its copies have arrived or its products are done", __FILE__, __LINE__);
  }
  runner.Wait(State::kDone);
  __builtin_unreachable();
}

std::string BlockRunner::Run(dim3 grid, dim3 block, const std::function<void()>& body) {
  const unsigned count = block.x * block.y * block.z;
  if (count == 0 || count > 1024 || count % kWarp != 0) return Cat("a block of ", count, " threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) return "a grid that is empty or too large";
  while (threads_.size() < count) threads_.push_back(std::make_unique<Thread>());
  warps_.resize(count / kWarp);
  body_ = &body;
  fault_.clear();
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x && fault_.empty(); ++x) {
        for (unsigned i = 0; i < count; ++i) {
          threads_[i]->position = {{i % block.x, i / block.x % block.y, i / block.x / block.y}, {x, y, z}, block, grid};
        }
        RunBlock(count);
      }
    }
  }
  return fault_;
}

void BlockRunner::RunBlock(unsigned count) {
  ++epoch_;
  for (SharedObject& object : shared_) object.live = false;
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = *threads_[i];
    thread.fiber->Reset(ThreadMain);
    thread.state = State::kRuns;
    thread.turn = 0;
    for (Deferred& deferred : thread.deferred) deferred = {};
    thread.shown = true;
  }
  for (;;) {
    for (unsigned first = 0; first < count; first += kWarp) RunWarp(first, first + kWarp);
    if (!fault_.empty()) return;  // what the other fibers hold is given up
    unsigned done = 0;
    for (unsigned i = 0; i < count; ++i) done += threads_[i]->state == State::kDone;
    if (done == count) return;
    PassBarrier(count);
    if (!fault_.empty()) return;
  }
}

// Until every thread of the warp waits at a block barrier or is done.
void BlockRunner::RunWarp(unsigned first, unsigned end) {
  for (;;) {
    unsigned waiting = 0;
    for (unsigned i = first; i < end; ++i) {
      // In turn from both ends, so that an order that is nowhere promised helps nobody.
      const unsigned thread = epoch_ % 2 == 0 ? i : first + end - 1 - i;
      if (threads_[thread]->state == State::kRuns) {
        current_ = thread;
        running = {&threads_[thread]->position, thread, epoch_};
        threads_[thread]->fiber->Enter();
        if (!fault_.empty()) return;
      }
      waiting += threads_[thread]->state == State::kAtWarp;
    }
    if (waiting == 0) return;
    if (waiting != kWarp) return SetFault("a warp operation that some lanes of the warp do not reach");
    for (unsigned i = first; i < end; ++i) threads_[i]->state = State::kRuns;
  }
}

void BlockRunner::PassBarrier(unsigned count) {
  const Thread& first = *threads_[0];
  for (unsigned i = 0; i < count; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state != State::kAtBarrier || thread.line != first.line || thread.file != first.file) {
      return SetFault(Cat("a barrier that not all threads reach: thread ", i, " against thread 0 at ", first.file, ":", first.line));
    }
  }
  ++epoch_;
  for (unsigned i = 0; i < count; ++i) threads_[i]->state = State::kRuns;
}

void* BlockRunner::Shared(const void* type, size_t bytes) {
  SharedObject* found = nullptr;
  for (SharedObject& object : shared_) {
    if (object.type == type) found = &object;
  }
  if (found == nullptr) found = &shared_.emplace_back(SharedObject{type, std::make_unique<std::byte[]>(bytes), bytes, false});
  if (!found->live) std::memset(found->bytes.get(), 0xff, found->size);
  found->live = true;
  return found->bytes.get();
}

Deferred& DeferredOf(Later kind) { return runner.current().deferred[static_cast<int>(kind)]; }

}  // namespace

constinit thread_local Running running = {};

unsigned Lane() { return runner.number() % kWarp; }
void* SharedOf(const void* type, size_t bytes) { return runner.Shared(type, bytes); }

void BlockBarrier(const char* file, int line) {
  runner.current().file = file;
  runner.current().line = line;
  runner.Wait(State::kAtBarrier);
}

uint64_t WarpExchange(uint64_t value, unsigned from_lane) {
  Warp& warp = runner.warp();
  uint64_t* const slots = warp.slots[runner.current().turn++ % 2];
  slots[Lane()] = value;
  runner.Wait(State::kAtWarp);
  return slots[from_lane % kWarp];
}

const WarpRegisters& ShareRegisters(const uint32_t* own, int count) {
  WarpRegisters& shared = runner.warp().registers[runner.current().turn++ % 2];
  for (int i = 0; i < count; ++i) shared.of_lane[Lane()][i] = own[i];
  runner.Wait(State::kAtWarp);
  return shared;
}

void Defer(Later kind, std::function<void()> done) { DeferredOf(kind).open.push_back(std::move(done)); }

void Commit(Later kind) {
  Deferred& deferred = DeferredOf(kind);
  deferred.groups.push_back(std::move(deferred.open));
  deferred.open.clear();
}

void Await(Later kind, int pending) {
  auto& groups = DeferredOf(kind).groups;
  for (; groups.size() > static_cast<size_t>(pending); groups.pop_front()) {
    for (const auto& done : groups.front()) done();
    if (kind == Later::kCopies) runner.current().shown = false;
  }
}

void Show() { runner.current().shown = true; }
bool Shown() { return runner.current().shown; }

void Fault(const char* what, const char* file, int line) {
  runner.SetFault(Cat(what, " at ", file, ":", line, ", thread ", runner.number()));
  runner.Wait(State::kDone);
  __builtin_unreachable();
}

std::string RunKernel(dim3 grid, dim3 block, const std::function<void()>& body) { return runner.Run(grid, block, body); }

}  // namespace lema::emulation
