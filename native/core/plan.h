// The plan as the engine holds it: plain data with every id resolved to an index. Offsets and sizes are bytes.
// `plan_decoder` makes it from the runtime's buffer (indices are then in range); `plan_checker` proves the rest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tensor.h"

namespace lema {

enum class ArenaId : uint8_t { kRam, kVram };
inline constexpr int kArenaCount = 2;
inline constexpr const char* kArenaNames[kArenaCount] = {"ram", "vram"};

enum class LaneId : uint8_t { kDisk, kH2d, kCompute, kD2h, kHost };
inline constexpr int kLaneCount = 5;
inline constexpr const char* kLaneNames[kLaneCount] = {"disk", "h2d", "compute", "d2h", "host"};

inline constexpr int kProgramCount = 3;  // train-step, evaluate, checkpoint
inline constexpr int kPartCount = 3;     // prologue, steady, epilogue

struct Place {
  uint32_t buffer;
  uint64_t offset;
};

struct Range {
  uint32_t buffer;
  uint64_t offset;
  uint64_t bytes;
};

struct PlannedFile {
  std::string id;
  uint64_t bytes;
};

struct PlannedTensor {
  std::string name;
  DType dtype;
  uint32_t file;
  uint64_t offset;
  uint64_t bytes;
  std::optional<std::array<uint8_t, 32>> digest;  // sha256
};

struct Buffer {
  std::string id;
  ArenaId arena;
  uint64_t offset;
  uint64_t bytes;
  uint64_t alignment;
};

struct Constant {
  Place at;
  std::vector<std::byte> data;
};

struct StepInput {
  std::string name;
  DType dtype;
  Place at;
  uint64_t elements;
  bool ranged;  // low and high hold
  double low;
  double high;
};

enum class FormalAccess : uint8_t { kRead, kWrite, kUpdate, kScratch };

struct Formal {
  std::string name;
  uint64_t bytes;
  FormalAccess access;
};

struct Operand {
  uint8_t index;  // position in the op's declaration
  uint32_t formal;
  uint64_t offset;
  DType dtype;
  uint8_t rank;
  std::array<int64_t, kMaxRank> dim;
  bool accumulate;
};

struct WorkspaceRange {
  uint32_t formal;
  uint64_t offset;
  uint64_t bytes;
};

struct Call {
  uint32_t op;
  std::vector<Operand> operands;
  std::vector<double> attributes;  // in the order of the op's declaration
  std::optional<WorkspaceRange> workspace;
};

struct Procedure {
  std::string id;
  std::vector<Formal> formals;
  std::vector<Call> calls;
};

struct Sink {
  std::string id;
  uint64_t bytes;
};

// Before call `at` of the waiting instruction (0: before it starts), instruction `on` of the same part has ended.
struct Wait {
  uint32_t on;
  uint32_t at;
};

struct Segment {
  uint32_t tensor;
  uint64_t from;   // first byte within the tensor
  uint64_t bytes;
  Place to;
};

struct ReadWork {
  std::vector<Segment> segments;
  Range staging;
};

struct GatherWork {
  uint32_t tensor;
  uint64_t row_bytes;
  uint64_t table_rows;
  Range indices;  // i32 row numbers
  Place to;       // rows one after another
  Range staging;
};

struct CopyWork {
  Place from;
  Place to;
};

struct RunWork {
  uint32_t procedure;
  std::vector<Place> bind;  // one place a formal
};

struct WriteWork {
  uint32_t sink;
  uint64_t offset;  // within the sink's payload
  Range from;
};

struct Instruction {
  std::string id;
  LaneId lane;
  std::vector<Wait> waits;
  uint64_t bytes;
  std::variant<ReadWork, GatherWork, CopyWork, RunWork, WriteWork> work;
};

// Instructions in serial order: executed one after another in this order they mean what the plan means.
using Part = std::vector<Instruction>;

struct Plan {
  std::string op_table;
  uint32_t threads;
  ArenaId compute_arena;
  std::array<uint64_t, kArenaCount> arena_bytes;
  std::vector<PlannedFile> files;
  std::vector<PlannedTensor> tensors;
  std::vector<Buffer> buffers;
  std::vector<Constant> constants;
  std::vector<StepInput> inputs;
  std::vector<Procedure> procedures;
  std::vector<Sink> sinks;
  std::array<std::array<Part, kPartCount>, kProgramCount> programs;

  uint64_t Address(const Place& place) const { return buffers[place.buffer].offset + place.offset; }
  ArenaId ArenaOf(const Place& place) const { return buffers[place.buffer].arena; }
};

}  // namespace lema
