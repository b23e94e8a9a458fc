#include "core/plan_decoder.h"

#include <algorithm>

#include "core/byte_reader.h"

namespace lema {
namespace {

enum class Kind : uint8_t { kRead, kGather, kCopy, kRun, kWrite };

constexpr uint8_t kDTypeCount = 5;
constexpr size_t kPlaceBytes = 12;

class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, Plan* plan) : in_(bytes), plan_(*plan) {}

  Status Decode() {
    if (in_.U32() != kPlanMagic || in_.U32() != kPlanEncoding) in_.Fail("not an encoded plan of this version");
    Strings();
    Header();
    Tables();
    for (uint32_t i = 0, n = in_.Count(12); i < n; ++i) plan_.procedures.push_back(OneProcedure());
    for (uint32_t i = 0, n = in_.Count(12); i < n; ++i) {
      const std::string id = String();
      plan_.sinks.push_back({id, in_.U64()});
    }
    for (auto& program : plan_.programs) {
      for (auto& part : program) {
        for (uint32_t i = 0, n = in_.Count(18); i < n; ++i) part.push_back(OneInstruction());
      }
    }
    return in_.Finish("encoded plan");
  }

 private:
  void Strings() {
    for (uint32_t i = 0, n = in_.Count(4); i < n; ++i) strings_.push_back(in_.Text());
  }

  std::string String() {
    const uint32_t index = in_.Index(strings_.size(), "string");
    return in_.ok() ? strings_[index] : std::string();
  }

  DType Type() { return in_.Choice<DType>(kDTypeCount, "dtype"); }

  Place OnePlace() {
    const uint32_t buffer = in_.Index(plan_.buffers.size(), "buffer");
    return {buffer, in_.U64()};
  }

  Range OneRange() {
    const Place place = OnePlace();
    return {place.buffer, place.offset, in_.U64()};
  }

  void Header() {
    plan_.op_table = String();
    plan_.threads = in_.U32();
    plan_.compute_arena = in_.Choice<ArenaId>(kArenaCount, "arena");
    for (auto& bytes : plan_.arena_bytes) bytes = in_.U64();
  }

  void Tables() {
    for (uint32_t i = 0, n = in_.Count(12); i < n; ++i) {
      const std::string id = String();
      plan_.files.push_back({id, in_.U64()});
    }
    for (uint32_t i = 0, n = in_.Count(26); i < n; ++i) plan_.tensors.push_back(OneTensor());
    for (uint32_t i = 0, n = in_.Count(29); i < n; ++i) {
      Buffer buffer;
      buffer.id = String();
      buffer.arena = in_.Choice<ArenaId>(kArenaCount, "arena");
      buffer.offset = in_.U64();
      buffer.bytes = in_.U64();
      buffer.alignment = in_.U64();
      plan_.buffers.push_back(std::move(buffer));
    }
    for (uint32_t i = 0, n = in_.Count(kPlaceBytes + 8); i < n; ++i) {
      const Place at = OnePlace();
      const auto data = in_.Bytes(in_.U64());
      plan_.constants.push_back({at, {data.begin(), data.end()}});
    }
    for (uint32_t i = 0, n = in_.Count(42); i < n; ++i) {
      StepInput input;
      input.name = String();
      input.dtype = Type();
      input.at = OnePlace();
      input.elements = in_.U64();
      input.ranged = in_.Choice<uint8_t>(2, "flag") != 0;
      input.low = in_.F64();
      input.high = in_.F64();
      plan_.inputs.push_back(std::move(input));
    }
  }

  PlannedTensor OneTensor() {
    PlannedTensor tensor;
    tensor.name = String();
    tensor.dtype = Type();
    tensor.file = in_.Index(plan_.files.size(), "file");
    tensor.offset = in_.U64();
    tensor.bytes = in_.U64();
    if (in_.Choice<uint8_t>(2, "flag") != 0) {
      const auto digest = in_.Bytes(32);
      tensor.digest.emplace();
      if (!digest.empty()) std::memcpy(tensor.digest->data(), digest.data(), 32);
    }
    return tensor;
  }

  Procedure OneProcedure() {
    Procedure procedure;
    procedure.id = String();
    for (uint32_t i = 0, n = in_.Count(13); i < n; ++i) {
      Formal formal;
      formal.name = String();
      formal.bytes = in_.U64();
      formal.access = in_.Choice<FormalAccess>(4, "access");
      procedure.formals.push_back(std::move(formal));
    }
    for (uint32_t i = 0, n = in_.Count(13); i < n; ++i) procedure.calls.push_back(OneCall(procedure));
    return procedure;
  }

  Call OneCall(const Procedure& procedure) {
    Call call;
    call.op = in_.U32();
    for (uint32_t i = 0, n = in_.Count(16); i < n; ++i) call.operands.push_back(OneOperand(procedure));
    for (uint32_t i = 0, n = in_.Count(8); i < n; ++i) call.attributes.push_back(in_.F64());
    if (in_.Choice<uint8_t>(2, "flag") != 0) {
      WorkspaceRange workspace;
      workspace.formal = in_.Index(procedure.formals.size(), "formal");
      workspace.offset = in_.U64();
      workspace.bytes = in_.U64();
      call.workspace = workspace;
    }
    return call;
  }

  Operand OneOperand(const Procedure& procedure) {
    Operand operand;
    operand.index = in_.U8();
    operand.formal = in_.Index(procedure.formals.size(), "formal");
    operand.offset = in_.U64();
    operand.dtype = Type();
    operand.accumulate = in_.Choice<uint8_t>(2, "flag") != 0;
    operand.rank = in_.Choice<uint8_t>(kMaxRank + 1, "rank");
    operand.dim.fill(1);
    for (int axis = 0; axis < operand.rank; ++axis) operand.dim[axis] = static_cast<int64_t>(in_.U64());
    return operand;
  }

  Instruction OneInstruction() {
    Instruction instruction;
    instruction.id = String();
    const Kind kind = in_.Choice<Kind>(5, "instruction kind");
    instruction.lane = in_.Choice<LaneId>(kLaneCount, "lane");
    for (uint32_t i = 0, n = in_.Count(8); i < n; ++i) {
      const uint32_t on = in_.U32();
      instruction.waits.push_back({on, in_.U32()});
    }
    instruction.bytes = in_.U64();
    switch (kind) {
      case Kind::kRead: instruction.work = OneRead(); break;
      case Kind::kGather: instruction.work = OneGather(); break;
      case Kind::kCopy: {
        const Place from = OnePlace();
        instruction.work = CopyWork{from, OnePlace()};
        break;
      }
      case Kind::kRun: instruction.work = OneRun(); break;
      case Kind::kWrite: {
        const uint32_t sink = in_.Index(plan_.sinks.size(), "sink");
        const uint64_t offset = in_.U64();
        instruction.work = WriteWork{sink, offset, OneRange()};
        break;
      }
    }
    return instruction;
  }

  ReadWork OneRead() {
    ReadWork read;
    for (uint32_t i = 0, n = in_.Count(32); i < n; ++i) {
      Segment segment;
      segment.tensor = in_.Index(plan_.tensors.size(), "tensor");
      segment.from = in_.U64();
      segment.bytes = in_.U64();
      segment.to = OnePlace();
      read.segments.push_back(segment);
    }
    read.staging = OneRange();
    return read;
  }

  GatherWork OneGather() {
    GatherWork gather;
    gather.tensor = in_.Index(plan_.tensors.size(), "tensor");
    gather.row_bytes = in_.U64();
    gather.table_rows = in_.U64();
    gather.indices = OneRange();
    gather.to = OnePlace();
    gather.staging = OneRange();
    return gather;
  }

  RunWork OneRun() {
    RunWork run;
    run.procedure = in_.Index(plan_.procedures.size(), "procedure");
    for (uint32_t i = 0, n = in_.Count(kPlaceBytes); i < n; ++i) run.bind.push_back(OnePlace());
    return run;
  }

  ByteReader in_;
  Plan& plan_;
  std::vector<std::string> strings_;
};

}  // namespace

Status DecodePlan(std::span<const std::byte> bytes, Plan* plan) {
  *plan = Plan{};
  return Decoder(bytes, plan).Decode();
}

}  // namespace lema
