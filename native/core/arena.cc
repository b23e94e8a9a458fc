#include "core/arena.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "core/text.h"

namespace lema {
namespace {

constexpr uint64_t kAlignment = 2u << 20;
constexpr uint64_t kPage = 4096;

// Backs every page now. Kernels before 5.14 lack MADV_POPULATE_WRITE: there the pages are touched.
bool Populate(std::byte* data, uint64_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(data, bytes, MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
#endif
  for (uint64_t at = 0; at < bytes; at += kPage) {
    reinterpret_cast<volatile std::byte*>(data)[at] = std::byte{0};
  }
  return true;
}

}  // namespace

Arena::~Arena() {
  if (reserved_ != nullptr) munmap(reserved_, reserved_bytes_);
}

Status Arena::Allocate(uint64_t bytes) {
  if (data_ != nullptr) return Status(StatusCode::kInvalidArgument, "the arena is allocated already");
  if (bytes == 0) return Status::Ok();
  if (bytes > (uint64_t{1} << 47)) return Status(StatusCode::kResourceExhausted, Cat("an arena of ", bytes, " bytes"));
  const uint64_t mapped = (bytes + kPage - 1) / kPage * kPage;
  const auto refused = [bytes](int error) {
    return Status(StatusCode::kResourceExhausted,
                  Cat("cannot allocate an arena of ", bytes, " bytes: ", std::strerror(error)));
  };
  // Address space for the alignment; it costs no memory and counts against no limit on data.
  reserved_bytes_ = mapped + kAlignment;
  reserved_ = mmap(nullptr, reserved_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved_ == MAP_FAILED) {
    reserved_ = nullptr;
    return refused(errno);
  }
  const auto begin = (reinterpret_cast<uintptr_t>(reserved_) + kAlignment - 1) / kAlignment * kAlignment;
  void* data = mmap(reinterpret_cast<void*>(begin), mapped, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (data == MAP_FAILED) return refused(errno);
  madvise(data, mapped, MADV_HUGEPAGE);  // advice only: fewer TLB misses where the system grants it
  if (!Populate(static_cast<std::byte*>(data), mapped)) return refused(errno);
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
  return Status::Ok();
}

}  // namespace lema
