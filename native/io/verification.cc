#include "io/verification.h"

#include <algorithm>
#include <cstring>

#include "core/text.h"

namespace lema {
namespace {

// A floating-point number is NaN or infinite when all bits of its exponent are set.
template <typename Word>
bool AllFinite(const std::byte* data, uint64_t count, Word exponent) {
  constexpr uint64_t kBlock = 4096;
  for (uint64_t begin = 0; begin < count; begin += kBlock) {
    const uint64_t end = std::min(count, begin + kBlock);
    Word bad = 0;
    for (uint64_t i = begin; i < end; ++i) {
      Word word;
      std::memcpy(&word, data + i * sizeof(Word), sizeof(Word));
      bad |= static_cast<Word>((word & exponent) == exponent);
    }
    if (bad != 0) return false;
  }
  return true;
}

bool AllFinite(DType dtype, const std::byte* data, uint64_t bytes) {
  switch (dtype) {
    case DType::kF32: return AllFinite<uint32_t>(data, bytes / 4, 0x7f800000u);
    case DType::kBF16: return AllFinite<uint16_t>(data, bytes / 2, 0x7f80);
    case DType::kF16: return AllFinite<uint16_t>(data, bytes / 2, 0x7c00);
    case DType::kF64: return AllFinite<uint64_t>(data, bytes / 8, 0x7ff0000000000000u);
    case DType::kI32: return true;
  }
  return true;
}

}  // namespace

Verification::Verification(const Plan& plan) : plan_(plan), progress_(plan.tensors.size()) {}

Status Verification::CheckFinite(uint32_t tensor, uint64_t bytes, const std::byte* data) const {
  const PlannedTensor& planned = plan_.tensors[tensor];
  if (AllFinite(planned.dtype, data, bytes)) return Status::Ok();
  return Status(StatusCode::kNonFinite, Cat("tensor ", planned.name, " holds NaN or infinity"));
}

Status Verification::Check(uint32_t tensor, uint64_t from, uint64_t bytes, const std::byte* data) {
  const PlannedTensor& planned = plan_.tensors[tensor];
  Progress& progress = progress_[tensor];
  if (from + bytes <= progress.next) return Status::Ok();
  if (from > progress.next) return CheckFinite(tensor, bytes, data);
  const uint64_t known = progress.next - from;
  progress.hash.Update(data + known, bytes - known);
  progress.next = from + bytes;
  const bool whole = progress.next == planned.bytes;
  if (whole && planned.digest && progress.hash.Finish() != *planned.digest) {
    progress = Progress{};  // so that reading it again fails again
    return Status(StatusCode::kDigestMismatch, Cat("tensor ", planned.name, " in ", plan_.files[planned.file].id,
                                                   " differs from the tensor that was planned"));
  }
  Status finite = CheckFinite(tensor, bytes, data);
  if (!finite.ok()) {
    progress = Progress{};
  } else if (whole) {
    complete_.fetch_add(1, std::memory_order_relaxed);
  }
  return finite;
}

}  // namespace lema
