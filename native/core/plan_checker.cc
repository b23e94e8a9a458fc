#include "core/plan_checker.h"

#include <bit>

#include "core/text.h"

namespace lema {
namespace {

constexpr uint64_t kLargestAlignment = 2u << 20;  // what arenas are aligned to
constexpr uint64_t kWorkspaceAlignment = 64;

Status Invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }
Status Outside(std::string message) { return Status(StatusCode::kOutOfRange, std::move(message)); }

// [offset, offset + bytes) within [0, size), without overflow.
bool Inside(uint64_t offset, uint64_t bytes, uint64_t size) { return bytes <= size && offset <= size - bytes; }

class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan) {}

  Status Check() const {
    if (plan_.threads == 0 || plan_.threads > 1024) return Invalid(Cat("a plan for ", plan_.threads, " threads"));
    LEMA_RETURN_IF_ERROR(Tables());
    for (const Procedure& procedure : plan_.procedures) {
      for (const Call& call : procedure.calls) LEMA_RETURN_IF_ERROR(CheckCall(call, procedure));
    }
    for (const auto& program : plan_.programs) {
      for (const Part& part : program) {
        for (uint32_t i = 0; i < part.size(); ++i) {
          Status status = OneInstruction(part, i);
          if (!status.ok()) return Status(status.code(), Cat("instruction ", part[i].id, ": ", status.message()), status.where());
        }
      }
    }
    return Status::Ok();
  }

 private:
  Status Tables() const {
    for (const Buffer& buffer : plan_.buffers) {
      const uint64_t arena = plan_.arena_bytes[static_cast<int>(buffer.arena)];
      if (!Inside(buffer.offset, buffer.bytes, arena)) {
        return Outside(Cat("buffer ", buffer.id, " does not lie inside the ", ArenaName(buffer.arena), " arena of ", arena,
                           " bytes"));
      }
      if (!std::has_single_bit(buffer.alignment) || buffer.alignment > kLargestAlignment) {
        return Invalid(Cat("buffer ", buffer.id, " has alignment ", buffer.alignment));
      }
      if (buffer.offset % buffer.alignment != 0) {
        return Invalid(Cat("buffer ", buffer.id, " at ", buffer.offset, " is not aligned to ", buffer.alignment));
      }
    }
    for (const PlannedTensor& tensor : plan_.tensors) {
      if (!Inside(tensor.offset, tensor.bytes, plan_.files[tensor.file].bytes)) {
        return Outside(Cat("tensor ", tensor.name, " does not lie inside ", plan_.files[tensor.file].id));
      }
      if (tensor.bytes % SizeOf(tensor.dtype) != 0) return Invalid(Cat("tensor ", tensor.name, " ends inside an element"));
    }
    for (const Constant& constant : plan_.constants) {
      LEMA_RETURN_IF_ERROR(InBuffer(constant.at, constant.data.size(), "a constant"));
    }
    for (const StepInput& input : plan_.inputs) {
      if (input.elements > (uint64_t{1} << 48)) return Outside(Cat("step input ", input.name, " is too large"));
      LEMA_RETURN_IF_ERROR(InBuffer(input.at, input.elements * SizeOf(input.dtype), input.name));
      if (input.ranged && input.dtype != DType::kI32 && input.dtype != DType::kF32) {
        return Invalid(Cat("step input ", input.name, " has a range and is neither i32 nor f32"));
      }
    }
    return Status::Ok();
  }

  Status InBuffer(const Place& at, uint64_t bytes, std::string_view what) const {
    const Buffer& buffer = plan_.buffers[at.buffer];
    if (Inside(at.offset, bytes, buffer.bytes)) return Status::Ok();
    return Outside(Cat(what, ": ", bytes, " bytes at ", at.offset, " of buffer ", buffer.id, ", which has ", buffer.bytes));
  }

  // A range that the disk lane reads or writes.
  Status OnHost(const Place& at, uint64_t bytes, std::string_view what) const {
    LEMA_RETURN_IF_ERROR(InBuffer(at, bytes, what));
    if (plan_.ArenaOf(at) != ArenaId::kRam) return Invalid(Cat(what, ": the disk reaches the ram arena only"));
    return Status::Ok();
  }

  Status OneInstruction(const Part& part, uint32_t index) const {
    const Instruction& instruction = part[index];
    const auto* run = std::get_if<RunWork>(&instruction.work);
    const size_t calls = run != nullptr ? plan_.procedures[run->procedure].calls.size() : 0;
    for (const Wait& wait : instruction.waits) {
      if (wait.on >= index) return Invalid("waits for an instruction that is not earlier in the serial order");
      if (wait.at != 0 && wait.at >= calls) return Invalid(Cat("waits before call ", wait.at, " of ", calls));
    }
    return std::visit([&](const auto& work) { return Work(work, instruction); }, instruction.work);
  }

  Status Work(const ReadWork& read, const Instruction& instruction) const {
    if (instruction.lane != LaneId::kDisk) return Invalid("a read belongs on the disk lane");
    for (const Segment& segment : read.segments) {
      const PlannedTensor& tensor = plan_.tensors[segment.tensor];
      if (!Inside(segment.from, segment.bytes, tensor.bytes)) {
        return Outside(Cat("reads ", segment.bytes, " bytes at ", segment.from, " of tensor ", tensor.name, ", which has ",
                           tensor.bytes));
      }
      const uint64_t element = SizeOf(tensor.dtype);
      if (segment.from % element != 0 || segment.bytes % element != 0) {
        return Invalid(Cat("a part of tensor ", tensor.name, " begins or ends inside an element"));
      }
      LEMA_RETURN_IF_ERROR(OnHost(segment.to, segment.bytes, tensor.name));
    }
    return Staging(read.staging);
  }

  Status Work(const GatherWork& gather, const Instruction& instruction) const {
    if (instruction.lane != LaneId::kDisk) return Invalid("a gather belongs on the disk lane");
    const PlannedTensor& tensor = plan_.tensors[gather.tensor];
    const uint64_t rows = gather.indices.bytes / sizeof(int32_t);
    if (gather.row_bytes == 0 || gather.row_bytes % SizeOf(tensor.dtype) != 0) return Invalid("row size");
    if (gather.table_rows > tensor.bytes / gather.row_bytes) {
      return Outside(Cat(gather.table_rows, " rows of ", gather.row_bytes, " bytes are more than tensor ", tensor.name));
    }
    if (gather.indices.bytes % sizeof(int32_t) != 0) return Invalid("indices end inside an element");
    LEMA_RETURN_IF_ERROR(OnHost({gather.indices.buffer, gather.indices.offset}, gather.indices.bytes, "indices"));
    if (rows > (uint64_t{1} << 48) / gather.row_bytes) return Outside("too many rows");
    LEMA_RETURN_IF_ERROR(OnHost(gather.to, rows * gather.row_bytes, "gathered rows"));
    return Staging(gather.staging);
  }

  Status Staging(const Range& staging) const {
    return OnHost({staging.buffer, staging.offset}, staging.bytes, "staging");
  }

  Status Work(const CopyWork& copy, const Instruction& instruction) const {
    LEMA_RETURN_IF_ERROR(InBuffer(copy.from, instruction.bytes, "copy source"));
    LEMA_RETURN_IF_ERROR(InBuffer(copy.to, instruction.bytes, "copy destination"));
    const ArenaId from = plan_.ArenaOf(copy.from);
    const ArenaId to = plan_.ArenaOf(copy.to);
    const bool down = instruction.lane == LaneId::kD2h && from == ArenaId::kVram && to == ArenaId::kRam;
    const bool up = instruction.lane == LaneId::kH2d && from == ArenaId::kRam && to == ArenaId::kVram;
    if (!up && !down) return Invalid("the copy goes another way than its lane");
    return Status::Ok();
  }

  Status Work(const RunWork& run, const Instruction& instruction) const {
    const bool host = instruction.lane == LaneId::kHost;
    if (!host && instruction.lane != LaneId::kCompute) return Invalid("a procedure belongs on the compute or host lane");
    const ArenaId arena = host ? ArenaId::kRam : plan_.compute_arena;
    const Procedure& procedure = plan_.procedures[run.procedure];
    if (run.bind.size() != procedure.formals.size()) {
      return Invalid(Cat("binds ", run.bind.size(), " of ", procedure.formals.size(), " formals"));
    }
    for (size_t i = 0; i < run.bind.size(); ++i) {
      const Formal& formal = procedure.formals[i];
      const Place& place = run.bind[i];
      LEMA_RETURN_IF_ERROR(InBuffer(place, formal.bytes, formal.name));
      if (plan_.ArenaOf(place) != arena) {
        return Invalid(Cat(formal.name, " is bound to the ", ArenaName(plan_.ArenaOf(place)), " arena"));
      }
      if (!Aligned(procedure, static_cast<uint32_t>(i), plan_.Address(place))) {
        return Invalid(Cat(formal.name, " is bound to the unaligned address ", plan_.Address(place)));
      }
    }
    return Status::Ok();
  }

  // Every operand at a multiple of its element, every workspace at a multiple of kWorkspaceAlignment.
  bool Aligned(const Procedure& procedure, uint32_t formal, uint64_t address) const {
    for (const Call& call : procedure.calls) {
      for (const Operand& operand : call.operands) {
        if (operand.formal == formal && (address + operand.offset) % SizeOf(operand.dtype) != 0) return false;
      }
      if (call.workspace && call.workspace->formal == formal &&
          (address + call.workspace->offset) % kWorkspaceAlignment != 0) {
        return false;
      }
    }
    return true;
  }

  Status Work(const WriteWork& write, const Instruction& instruction) const {
    if (instruction.lane != LaneId::kDisk) return Invalid("a write belongs on the disk lane");
    if (!Inside(write.offset, write.from.bytes, plan_.sinks[write.sink].bytes)) {
      return Outside(Cat("writes past the end of ", plan_.sinks[write.sink].id));
    }
    return OnHost({write.from.buffer, write.from.offset}, write.from.bytes, "written range");
  }

  static const char* ArenaName(ArenaId arena) { return kArenaNames[static_cast<int>(arena)]; }

  const Plan& plan_;
};

}  // namespace

Status CheckPlan(const Plan& plan) { return Checker(plan).Check(); }

}  // namespace lema
