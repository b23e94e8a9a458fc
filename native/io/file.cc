#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/text.h"

namespace lema {
namespace {

constexpr uint64_t kLargestTransfer = 16u << 20;

Status Failed(const std::string& what, int error) {
  return Status(StatusCode::kIoError, Cat(what, ": ", std::strerror(error)));
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Status InputFile::Open(const std::string& path, uint64_t bytes) {
  path_ = path;
  buffered_ = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!buffered_.open()) return Failed(Cat("cannot open ", path), errno);
  struct stat found;
  if (fstat(buffered_.get(), &found) != 0) return Failed(Cat("cannot examine ", path), errno);
  if (!S_ISREG(found.st_mode)) return Status(StatusCode::kIoError, Cat(path, " is not a regular file"));
  const auto size = static_cast<uint64_t>(found.st_size);
  if (size != bytes) {
    return Status(size < bytes ? StatusCode::kTruncated : StatusCode::kInvalidArgument,
                  Cat(path, " has ", size, " bytes and was planned with ", bytes));
  }
  unbuffered_ = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
  direct_.store(unbuffered_.open(), std::memory_order_relaxed);
  return Status::Ok();
}

Status InputFile::ReadDirect(uint64_t offset, uint64_t bytes, std::byte* to) {
  uint64_t done = 0;
  while (direct() && done < bytes && done % kDiskBlock == 0) {
    const uint64_t wanted = std::min(BlockCeil(bytes - done), kLargestTransfer);
    const ssize_t got = pread(unbuffered_.get(), to + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EINVAL) {
      direct_.store(false, std::memory_order_relaxed);  // opened, but not honoured by this filesystem
      break;
    }
    if (got < 0) return Refused("read", offset + done, errno);
    if (got == 0) return Truncated(offset + done);
    delivered_.fetch_add(static_cast<uint64_t>(got), std::memory_order_relaxed);
    done += static_cast<uint64_t>(got);
  }
  if (done >= bytes) return Status::Ok();
  return ReadBuffered(offset + done, bytes - done, to + done);
}

Status InputFile::ReadBuffered(uint64_t offset, uint64_t bytes, std::byte* to) {
  uint64_t done = 0;
  while (done < bytes) {
    const uint64_t wanted = std::min(bytes - done, kLargestTransfer);
    const ssize_t got = pread(buffered_.get(), to + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Refused("read", offset + done, errno);
    if (got == 0) return Truncated(offset + done);
    delivered_.fetch_add(static_cast<uint64_t>(got), std::memory_order_relaxed);
    done += static_cast<uint64_t>(got);
  }
  const uint64_t first = BlockFloor(offset);
  posix_fadvise(buffered_.get(), static_cast<off_t>(first), static_cast<off_t>(BlockCeil(offset + bytes) - first),
                POSIX_FADV_DONTNEED);
  return Status::Ok();
}

Status InputFile::Truncated(uint64_t offset) const {
  return Status(StatusCode::kTruncated, Cat(path_, " ends at byte ", offset, ", inside a planned range"));
}

Status InputFile::Refused(const char* what, uint64_t offset, int error) const {
  return Failed(Cat("cannot ", what, " ", path_, " at byte ", offset), error);
}

Status OutputFile::Open(const std::string& path) {
  path_ = path;
  file_ = Descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file_.open()) return Failed(Cat("cannot open ", path, " for writing"), errno);
  return Status::Ok();
}

Status OutputFile::Write(uint64_t offset, const std::byte* from, uint64_t bytes) {
  uint64_t done = 0;
  while (done < bytes) {
    const uint64_t wanted = std::min(bytes - done, kLargestTransfer);
    const ssize_t put = pwrite(file_.get(), from + done, wanted, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Failed(Cat("cannot write ", path_, " at byte ", offset + done), errno);
    done += static_cast<uint64_t>(put);
  }
  return Status::Ok();
}

Status OutputFile::Sync() {
  if (fsync(file_.get()) != 0) return Failed(Cat("cannot sync ", path_), errno);
  return Status::Ok();
}

}  // namespace lema
