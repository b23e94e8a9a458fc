// Exact reads and writes of byte ranges. A range that the file does not hold is kTruncated, anything else that the
// system refuses is kIoError; both name file and offset. Files are never mapped: a file that shrinks under a mapping
// is a signal, under a read it is an error.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/status.h"

namespace lema {

inline constexpr uint64_t kDiskBlock = 4096;  // alignment of direct reads

constexpr uint64_t BlockFloor(uint64_t offset) { return offset / kDiskBlock * kDiskBlock; }
constexpr uint64_t BlockCeil(uint64_t offset) { return BlockFloor(offset + kDiskBlock - 1); }

// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A file of weights, read past the page cache where the filesystem allows it.
class InputFile {
 public:
  // kTruncated or kInvalidArgument when the size is not `bytes`.
  Status Open(const std::string& path, uint64_t bytes);

  bool direct() const { return direct_.load(std::memory_order_relaxed); }

  // Past the page cache: `offset` and `to` are multiples of kDiskBlock, `to` has room for BlockCeil(bytes). Falls back
  // to a buffered read, for this and all later reads, where the filesystem refuses.
  Status ReadDirect(uint64_t offset, uint64_t bytes, std::byte* to);
  // Through the page cache, from which the bytes are dropped afterwards.
  Status ReadBuffered(uint64_t offset, uint64_t bytes, std::byte* to);

  // Bytes that the system delivered, over-reads included.
  uint64_t delivered() const { return delivered_.load(std::memory_order_relaxed); }

 private:
  Status Truncated(uint64_t offset) const;
  Status Refused(const char* what, uint64_t offset, int error) const;

  std::string path_;
  Descriptor buffered_;
  Descriptor unbuffered_;
  std::atomic<bool> direct_{false};
  std::atomic<uint64_t> delivered_{0};
};

// A file that a run writes; created when missing.
class OutputFile {
 public:
  Status Open(const std::string& path);
  Status Write(uint64_t offset, const std::byte* from, uint64_t bytes);
  Status Sync();

 private:
  std::string path_;
  Descriptor file_;
};

}  // namespace lema
