// The interface between the executor and the kernels of a host backend (cpu, reference).
//
// At load each call is prepared once: shapes are final, primitives are created, the workspace is measured against the
// planner's ceiling. At run a prepared call gets its data pointers and does no allocation. Kernels split their work
// into fixed tasks; which thread runs a task never changes a bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "status.h"
#include "tensor.h"

namespace lema {

// Runs task(i, thread) for every i in [0, count), thread in [0, threads()). Returns when all are done.
class TaskRunner {
 public:
  virtual ~TaskRunner() = default;
  virtual int threads() const = 0;

  template <typename Task>
  void ParallelFor(int64_t count, const Task& task) {
    Run(count, [](const void* context, int64_t i, int thread) { (*static_cast<const Task*>(context))(i, thread); }, &task);
  }

 protected:
  using Entry = void (*)(const void* context, int64_t i, int thread);
  virtual void Run(int64_t count, Entry entry, const void* context) = 0;
};

struct Workspace {
  std::byte* data = nullptr;  // 64-byte aligned
  size_t bytes = 0;
};

struct KernelContext {
  TaskRunner& runner;
  Workspace workspace;
};

// What a kernel makes once at load for one call (e.g. the algorithm that a matrix library chose).
class PreparedCall {
 public:
  virtual ~PreparedCall() = default;
};

struct Preparation {
  std::unique_ptr<PreparedCall> call;  // may stay null
  size_t workspace_bytes = 0;          // what the kernel really needs for `threads` threads
};

}  // namespace lema
