// Reads little-endian values from a buffer that nobody vouches for. The first violation is kept and every later read
// returns zero, so that a decoder is written straight through and asks once, at its end, whether all was well.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "status.h"
#include "text.h"

namespace lema {

static_assert(std::endian::native == std::endian::little, "the encoding is little-endian");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint8_t U8() { return Number<uint8_t>(); }
  uint16_t U16() { return Number<uint16_t>(); }
  uint32_t U32() { return Number<uint32_t>(); }
  uint64_t U64() { return Number<uint64_t>(); }
  double F64() { return Number<double>(); }

  // The number of items that follow, each at least `item_bytes` long; a corrupt count cannot ask for more memory than
  // the buffer could fill.
  uint32_t Count(size_t item_bytes) {
    const uint32_t count = U32();
    if (count > remaining() / item_bytes) {
      Fail(Cat("count ", count, " exceeds the buffer"));
      return 0;
    }
    return count;
  }

  // An index below `limit`.
  uint32_t Index(size_t limit, const char* what) {
    const uint32_t index = U32();
    if (ok_ && index >= limit) Fail(Cat(what, " ", index, " of ", limit));
    return ok_ ? index : 0;
  }

  // A small enumeration below `limit`.
  template <typename Enum>
  Enum Choice(uint8_t limit, const char* what) {
    const uint8_t value = U8();
    if (ok_ && value >= limit) Fail(Cat(what, " ", static_cast<int>(value), " of ", static_cast<int>(limit)));
    return static_cast<Enum>(ok_ ? value : 0);
  }

  std::span<const std::byte> Bytes(uint64_t count) {
    if (!ok_ || count > remaining()) {
      Fail("the buffer ends early");
      return {};
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  std::string Text() {
    const auto bytes = Bytes(U32());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  size_t remaining() const { return bytes_.size() - position_; }
  bool ok() const { return ok_; }

  void Fail(std::string problem) {
    if (!ok_) return;
    ok_ = false;
    problem_ = Cat(problem, ", at byte ", position_);
  }

  // Ok when every read succeeded and nothing is left over.
  Status Finish(const char* what) {
    if (ok_ && remaining() != 0) Fail(Cat(remaining(), " bytes are left over"));
    if (ok_) return Status::Ok();
    return Status(StatusCode::kInvalidArgument, Cat("malformed ", what, ": ", problem_));
  }

 private:
  template <typename T>
  T Number() {
    T value{};
    const auto bytes = Bytes(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
  size_t position_ = 0;
  bool ok_ = true;
  std::string problem_;
};

}  // namespace lema
