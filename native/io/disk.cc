#include "io/disk.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/text.h"

namespace lema {
namespace {

constexpr uint64_t kLeastShare = 1u << 20;  // below it, more reads at once stop helping
constexpr uint64_t kLargestShare = 16u << 20;
constexpr uint64_t kStraightPiece = 8u << 20;
constexpr uint64_t kNear = 64u << 10;  // reading on over such a gap takes less time than another read

bool BlockAligned(uint64_t value) { return value % kDiskBlock == 0; }

// The row that a gather asks for; a negative one is beyond every table.
uint64_t RowAt(const PreparedGather& gather, uint64_t place) {
  int32_t row;
  std::memcpy(&row, gather.indices + place * sizeof(row), sizeof(row));
  return static_cast<uint64_t>(int64_t{row});
}

}  // namespace

// Keeps the first failure of many workers and tells the others to stop.
class Disk::FirstError {
 public:
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  void Keep(Status status) {
    if (status.ok()) return;
    const std::lock_guard lock(mutex_);
    if (!failed()) status_ = std::move(status);
    failed_.store(true, std::memory_order_relaxed);
  }
  Status Take() { return std::move(status_); }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status status_;
};

Disk::Disk(const Plan& plan, const DiskOptions& options)
    : plan_(plan), pool_(options.workers), throttle_(options.bytes_per_second), verification_(plan) {}

Status Disk::Open(std::span<const std::string> paths) {
  if (paths.size() != plan_.files.size()) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("the plan reads ", plan_.files.size(), " files, and ", paths.size(), " paths were given"));
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    files_.push_back(std::make_unique<InputFile>());
    LEMA_RETURN_IF_ERROR(files_.back()->Open(paths[i], plan_.files[i].bytes));
  }
  return Status::Ok();
}

Status Disk::SplitStaging(const Range& range, std::byte* ram, uint64_t least, Staging* staging) const {
  const uint64_t address = plan_.buffers[range.buffer].offset + range.offset;
  const uint64_t begin = BlockCeil(address);
  const uint64_t end = BlockFloor(address + range.bytes);
  const uint64_t usable = end > begin ? end - begin : 0;
  if (usable < least) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("a staging range of ", range.bytes, " bytes at ", address, " holds no read of ", least, " bytes"));
  }
  const auto most = static_cast<uint64_t>(pool_.workers());
  const uint64_t workers = std::clamp<uint64_t>(usable / std::max(kLeastShare, least), 1, most);
  staging->data = ram + begin;
  staging->workers = static_cast<int>(workers);
  staging->share = std::clamp(BlockFloor(usable / workers), least, std::max(least, kLargestShare));
  return Status::Ok();
}

Status Disk::Prepare(const ReadWork& read, std::byte* ram, PreparedRead* prepared) const {
  LEMA_RETURN_IF_ERROR(SplitStaging(read.staging, ram, kDiskBlock, &prepared->staging));
  for (const Segment& segment : read.segments) {
    const PlannedTensor& tensor = plan_.tensors[segment.tensor];
    std::byte* const to = ram + plan_.Address(segment.to);
    uint64_t offset = tensor.offset + segment.from;
    const uint64_t end = offset + segment.bytes;
    const bool aligned = BlockAligned(offset) && BlockAligned(plan_.Address(segment.to));
    std::byte* next = to;
    while (offset < end) {
      const bool straight = aligned && end - offset >= kDiskBlock;
      // A staged piece over-reads to block bounds on both sides.
      const uint64_t most = straight ? kStraightPiece : prepared->staging.share - offset % kDiskBlock;
      const uint64_t left = straight ? BlockFloor(end - offset) : end - offset;
      const uint64_t bytes = std::min(left, most);
      prepared->pieces.push_back({tensor.file, offset, bytes, next, straight});
      offset += bytes;
      next += bytes;
    }
    prepared->parts.push_back({segment.tensor, segment.from, segment.bytes, to});
  }
  auto& parts = prepared->parts;
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return a.tensor != b.tensor ? a.tensor < b.tensor : a.from < b.from;
  });
  for (uint32_t i = 0; i < parts.size(); ++i) {
    if (i == 0 || parts[i].tensor != parts[i - 1].tensor) prepared->groups.push_back(i);
  }
  prepared->groups.push_back(static_cast<uint32_t>(parts.size()));
  return Status::Ok();
}

Status Disk::Prepare(const GatherWork& gather, uint64_t bytes, std::byte* ram, PreparedGather* prepared) const {
  const uint64_t least = BlockCeil(gather.row_bytes) + kDiskBlock;
  LEMA_RETURN_IF_ERROR(SplitStaging(gather.staging, ram, least, &prepared->staging));
  prepared->tensor = gather.tensor;
  prepared->row_bytes = gather.row_bytes;
  prepared->table_rows = gather.table_rows;
  prepared->indices = ram + plan_.buffers[gather.indices.buffer].offset + gather.indices.offset;
  prepared->count = gather.indices.bytes / sizeof(int32_t);
  prepared->to = ram + plan_.Address(gather.to);
  // A row narrower than a block lies in at most two of them.
  const uint64_t row = gather.row_bytes;
  const uint64_t worst = row % kDiskBlock == 0 && plan_.tensors[gather.tensor].offset % kDiskBlock == 0
                             ? row
                             : BlockCeil(row + kDiskBlock - 1);
  if (prepared->count * worst > bytes) {
    return Status(StatusCode::kInvalidArgument, Cat("gathering ", prepared->count, " rows may read ",
                                                    prepared->count * worst, " bytes, and ", bytes, " are planned"));
  }
  prepared->most_bytes = worst;
  prepared->order.resize(prepared->count);
  prepared->extents.reserve(prepared->count);
  return Status::Ok();
}

Status Disk::Stopped() const {
  if (stop_.load(std::memory_order_relaxed)) return Status(StatusCode::kCancelled, "stopped");
  return Status::Ok();
}

Status Disk::Read(const PreparedRead& read) {
  FirstError error;
  const Staging& staging = read.staging;
  pool_.ForEach(read.pieces.size(), staging.workers, [&](uint64_t i, int worker) {
    if (!error.failed()) error.Keep(ReadPiece(read.pieces[i], staging.data + worker * staging.share));
  });
  if (error.failed()) return error.Take();
  pool_.ForEach(read.groups.size() - 1, pool_.workers(), [&](uint64_t group, int) {
    for (uint32_t i = read.groups[group]; i < read.groups[group + 1] && !error.failed(); ++i) {
      const PreparedRead::Part& part = read.parts[i];
      error.Keep(verification_.Check(part.tensor, part.from, part.bytes, part.data));
    }
  });
  return error.Take();
}

Status Disk::ReadPiece(const PreparedRead::Piece& piece, std::byte* staging) {
  LEMA_RETURN_IF_ERROR(Stopped());
  InputFile& file = *files_[piece.file];
  throttle_.Pass(piece.bytes, stop_);
  if (piece.straight) return file.ReadDirect(piece.offset, piece.bytes, piece.to);
  return ReadAnywhere(file, piece.offset, piece.bytes, piece.to, staging);
}

Status Disk::ReadAnywhere(InputFile& file, uint64_t offset, uint64_t bytes, std::byte* to, std::byte* staging) {
  if (!file.direct()) return file.ReadBuffered(offset, bytes, to);
  const std::byte* read = nullptr;
  LEMA_RETURN_IF_ERROR(ReadStaged(file, offset, bytes, staging, &read));
  std::memcpy(to, read, bytes);
  return Status::Ok();
}

Status Disk::ReadStaged(InputFile& file, uint64_t offset, uint64_t bytes, std::byte* staging, const std::byte** read) {
  const uint64_t lead = offset % kDiskBlock;
  *read = staging + lead;
  return file.ReadDirect(offset - lead, lead + bytes, staging);
}

Status Disk::Gather(PreparedGather& gather) {
  LEMA_RETURN_IF_ERROR(FindExtents(gather));
  FirstError error;
  const Staging& staging = gather.staging;
  pool_.ForEach(gather.extents.size(), staging.workers, [&](uint64_t i, int worker) {
    if (error.failed()) return;
    error.Keep(GatherExtent(gather, gather.extents[i], staging.data + worker * staging.share));
  });
  return error.Take();
}

// A row is read once, and with its neighbours: never more than the rows of an extent may cost one by one.
Status Disk::FindExtents(PreparedGather& gather) const {
  const PlannedTensor& tensor = plan_.tensors[gather.tensor];
  auto& order = gather.order;
  std::iota(order.begin(), order.end(), 0u);
  for (const uint32_t place : order) {
    const uint64_t row = RowAt(gather, place);
    if (row < gather.table_rows) continue;
    return Status(StatusCode::kOutOfRange, Cat("row ", static_cast<int64_t>(row), " of ", tensor.name, ", which has ",
                                               gather.table_rows, " rows"));
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return RowAt(gather, a) < RowAt(gather, b); });
  gather.extents.clear();
  uint64_t begin = 0, end = 0;  // in the file, of the extent under way
  for (uint64_t i = 0; i < order.size(); ++i) {
    const uint64_t offset = tensor.offset + RowAt(gather, order[i]) * gather.row_bytes;
    const uint64_t bytes = BlockCeil(offset + gather.row_bytes) - BlockFloor(begin);
    const bool near = i > 0 && offset <= end + kNear && bytes <= gather.staging.share &&
                      bytes <= (i + 1 - gather.extents.back().first) * gather.most_bytes;
    if (!near) {
      gather.extents.push_back({i, i});
      begin = offset;
    }
    gather.extents.back().end = i + 1;
    end = offset + gather.row_bytes;
  }
  return Status::Ok();
}

Status Disk::GatherExtent(const PreparedGather& gather, const PreparedGather::Extent& extent, std::byte* staging) {
  LEMA_RETURN_IF_ERROR(Stopped());
  const PlannedTensor& tensor = plan_.tensors[gather.tensor];
  const uint64_t first = RowAt(gather, gather.order[extent.first]);
  const uint64_t rows = RowAt(gather, gather.order[extent.end - 1]) + 1 - first;
  const uint64_t offset = tensor.offset + first * gather.row_bytes;
  throttle_.Pass(rows * gather.row_bytes, stop_);
  const std::byte* read = nullptr;
  LEMA_RETURN_IF_ERROR(ReadStaged(*files_[tensor.file], offset, rows * gather.row_bytes, staging, &read));
  for (uint64_t i = extent.first; i < extent.end; ++i) {
    const uint32_t place = gather.order[i];
    std::byte* const to = gather.to + place * gather.row_bytes;
    std::memcpy(to, read + (RowAt(gather, place) - first) * gather.row_bytes, gather.row_bytes);
    LEMA_RETURN_IF_ERROR(verification_.CheckFinite(gather.tensor, gather.row_bytes, to));
  }
  return Status::Ok();
}

Status Disk::Write(OutputFile& file, uint64_t offset, const std::byte* from, uint64_t bytes) {
  LEMA_RETURN_IF_ERROR(Stopped());
  LEMA_RETURN_IF_ERROR(file.Write(offset, from, bytes));
  written_.fetch_add(bytes, std::memory_order_relaxed);
  return Status::Ok();
}

uint64_t Disk::bytes_read() const {
  return std::accumulate(files_.begin(), files_.end(), uint64_t{0},
                         [](uint64_t sum, const auto& file) { return sum + file->delivered(); });
}

bool Disk::direct() const {
  return std::all_of(files_.begin(), files_.end(), [](const auto& file) { return file->direct(); });
}

}  // namespace lema
