// The disk lane's work: reads of weights, gathers of rows, writes of checkpoint payloads.
//
// A read is cut at load into pieces. A piece whose file offset, destination and length are multiples of kDiskBlock
// goes straight to its place; any other is over-read to block bounds into one worker's share of the plan's staging
// buffer and its bytes are copied from there. Where the filesystem refuses direct reads, pieces go through the page
// cache straight to their place. What lands in the arena is the same in every case.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/plan.h"
#include "core/status.h"
#include "io/file.h"
#include "io/throttle.h"
#include "io/verification.h"
#include "io/worker_pool.h"

namespace lema {

struct DiskOptions {
  int workers = 4;
  uint64_t bytes_per_second = 0;  // 0: as fast as the disk is
};

// The staging buffer, split among workers.
struct Staging {
  std::byte* data = nullptr;  // kDiskBlock-aligned
  uint64_t share = 0;         // bytes of one worker, a multiple of kDiskBlock
  int workers = 0;
};

struct PreparedRead {
  struct Piece {
    uint32_t file;
    uint64_t offset;
    uint64_t bytes;
    std::byte* to;
    bool straight;
  };
  struct Part {
    uint32_t tensor;
    uint64_t from;
    uint64_t bytes;
    const std::byte* data;
  };
  Staging staging;
  std::vector<Piece> pieces;
  std::vector<Part> parts;       // by tensor, then by position in it
  std::vector<uint32_t> groups;  // first part of each tensor, and parts.size() at the end
};

struct PreparedGather {
  // Rows that lie near each other in the table and are read at once; they stand at [first, end) of `order`.
  struct Extent {
    uint64_t first;
    uint64_t end;
  };
  Staging staging;
  uint32_t tensor;
  uint64_t row_bytes;
  uint64_t table_rows;
  const std::byte* indices;    // [count] i32
  uint64_t count;
  std::byte* to;               // [count, row_bytes]
  uint64_t most_bytes;         // that one row may cost
  // Room that each gather uses anew.
  std::vector<uint32_t> order;  // [count] places in `indices`, by row
  std::vector<Extent> extents;
};

class Disk {
 public:
  Disk(const Plan& plan, const DiskOptions& options);

  // Paths in the order of the plan's files; sizes must be as planned.
  Status Open(std::span<const std::string> paths);
  // `ram` is the first byte of the ram arena. The plan has been checked.
  Status Prepare(const ReadWork& read, std::byte* ram, PreparedRead* prepared) const;
  Status Prepare(const GatherWork& gather, uint64_t bytes, std::byte* ram, PreparedGather* prepared) const;

  Status Read(const PreparedRead& read);
  Status Gather(PreparedGather& gather);
  Status Write(OutputFile& file, uint64_t offset, const std::byte* from, uint64_t bytes);

  // Ends what is under way with kCancelled, until the next Resume.
  void Stop() { stop_.store(true, std::memory_order_relaxed); }
  void Resume() { stop_.store(false, std::memory_order_relaxed); }

  uint64_t bytes_read() const;
  uint64_t bytes_written() const { return written_.load(std::memory_order_relaxed); }
  uint64_t tensors_verified() const { return verification_.complete(); }
  bool direct() const;  // whether every file is read past the page cache

 private:
  class FirstError;

  Status SplitStaging(const Range& range, std::byte* ram, uint64_t least, Staging* staging) const;
  Status ReadPiece(const PreparedRead::Piece& piece, std::byte* staging);
  Status FindExtents(PreparedGather& gather) const;
  Status GatherExtent(const PreparedGather& gather, const PreparedGather::Extent& extent, std::byte* staging);
  // Reads a range of any alignment; `staging` holds BlockCeil of it plus one block.
  Status ReadAnywhere(InputFile& file, uint64_t offset, uint64_t bytes, std::byte* to, std::byte* staging);
  // The same into `staging`; `read` is where the range begins there.
  Status ReadStaged(InputFile& file, uint64_t offset, uint64_t bytes, std::byte* staging, const std::byte** read);
  Status Stopped() const;

  const Plan& plan_;
  std::vector<std::unique_ptr<InputFile>> files_;
  WorkerPool pool_;
  Throttle throttle_;
  Verification verification_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> written_{0};
};

}  // namespace lema
