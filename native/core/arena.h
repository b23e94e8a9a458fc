// One host memory tier: a single anonymous mapping of exactly the planned size (rounded up to a page), aligned to
// 2 MiB, backed by pages from the start so that no page fault and no out-of-memory kill waits in the step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"

namespace lema {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Zero-filled. kResourceExhausted when the system refuses.
  Status Allocate(uint64_t bytes);

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  void* reserved_ = nullptr;
  size_t reserved_bytes_ = 0;
};

}  // namespace lema
