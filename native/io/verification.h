// Checks weights the first time a run reads them: no NaN or infinity, and the sha256 that was planned.
//
// A tensor may come in parts (chunks of the head, read by several instructions). A digest needs its bytes in order, so
// each tensor keeps one running hash and the position up to which it has been fed. A part that continues there is
// hashed; bytes that were fed before are not hashed again. A part from further ahead cannot be hashed yet: its values
// are checked, and its digest waits until the parts before it come by, at the latest when a whole sweep has read the
// tensor in order once. `complete()` counts the tensors whose digest stands. Rows that are gathered one by one never
// make up a whole tensor: their values are checked each time, their digest is the business of whoever planned the file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan.h"
#include "core/status.h"
#include "io/sha256.h"

namespace lema {

class Verification {
 public:
  explicit Verification(const Plan& plan);

  // `data` holds bytes [from, from + bytes) of a tensor. Parts of one tensor are checked one at a time; different
  // tensors may be checked at once. kNonFinite or kDigestMismatch, naming the tensor.
  Status Check(uint32_t tensor, uint64_t from, uint64_t bytes, const std::byte* data);
  // Values only.
  Status CheckFinite(uint32_t tensor, uint64_t bytes, const std::byte* data) const;
  // Whether Check would have nothing to do.
  bool Verified(uint32_t tensor, uint64_t from, uint64_t bytes) const { return from + bytes <= progress_[tensor].next; }

  uint64_t complete() const { return complete_.load(std::memory_order_relaxed); }

 private:
  struct Progress {
    Sha256 hash;
    uint64_t next = 0;  // bytes [0, next) are hashed
  };

  const Plan& plan_;
  std::vector<Progress> progress_;
  std::atomic<uint64_t> complete_{0};
};

}  // namespace lema
