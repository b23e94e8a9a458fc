// One call against its op's declaration: operands that exist, once each, in a legal dtype, mode and shape, inside
// formals that grant the access; attributes that are there. Symbols of the shapes must agree across operands.
#include <array>
#include <limits>

#include "core/plan_checker.h"
#include "core/text.h"
#include "generated/ops.h"

namespace lema {
namespace {

constexpr int64_t kLargestDim = int64_t{1} << 40;
constexpr int kMaxSymbols = 16;

class CallChecker {
 public:
  CallChecker(const Call& call, const Procedure& procedure, const OpInfo& op)
      : call_(call), procedure_(procedure), op_(op) {}

  Status Check() {
    std::array<const Operand*, kMaxOperands> bound{};
    for (const Operand& operand : call_.operands) {
      if (operand.index >= op_.operands.size()) return Invalid("has an operand that is not declared");
      if (bound[operand.index] != nullptr) return Invalid(Cat("binds ", op_.operands[operand.index].name, " twice"));
      bound[operand.index] = &operand;
      LEMA_RETURN_IF_ERROR(OneOperand(operand, op_.operands[operand.index]));
    }
    for (size_t i = 0; i < op_.operands.size(); ++i) {
      const OperandInfo& info = op_.operands[i];
      if (bound[i] == nullptr && !info.optional) return Invalid(Cat("lacks ", info.name));
      if (bound[i] == nullptr || info.same_dtype_as < 0) continue;
      const Operand* const same = bound[static_cast<size_t>(info.same_dtype_as)];
      if (same != nullptr && same->dtype != bound[i]->dtype) {
        return Invalid(Cat(info.name, " has another dtype than ", op_.operands[static_cast<size_t>(info.same_dtype_as)].name));
      }
    }
    if (call_.attributes.size() != op_.attributes.size()) return Invalid("has another number of attributes than declared");
    LEMA_RETURN_IF_ERROR(Products(bound));
    return Workspace();
  }

 private:
  Status OneOperand(const Operand& operand, const OperandInfo& info) {
    if ((info.dtypes & (1u << static_cast<uint32_t>(operand.dtype))) == 0) return Invalid(Cat(info.name, " has a dtype that is not allowed"));
    if (operand.accumulate && !info.accumulable) return Invalid(Cat(info.name, " cannot accumulate"));
    if (operand.rank != info.rank) return Invalid(Cat(info.name, " has rank ", operand.rank, ", not ", info.rank));
    uint64_t bytes = SizeOf(operand.dtype);
    for (int axis = 0; axis < operand.rank; ++axis) {
      const int64_t size = operand.dim[axis];
      if (size < 1 || size > kLargestDim) return Invalid(Cat(info.name, " has a dimension of ", size));
      if (bytes > std::numeric_limits<uint64_t>::max() / 2 / static_cast<uint64_t>(size)) return Invalid(Cat(info.name, " is too large"));
      bytes *= static_cast<uint64_t>(size);
      const DimInfo& dim = info.dims[axis];
      if (dim.constant != 1 || dim.symbols[1] >= 0 || dim.symbols[0] < 0) continue;
      int64_t& symbol = symbols_[dim.symbols[0]];
      if (symbol == 0) symbol = size;
      if (symbol != size) return Invalid(Cat(info.name, " disagrees with another operand: ", size, " and ", symbol));
    }
    const Formal& formal = procedure_.formals[operand.formal];
    if (operand.offset > formal.bytes || bytes > formal.bytes - operand.offset) {
      return Invalid(Cat(info.name, " leaves its formal ", formal.name));
    }
    const bool writes = info.access != Access::kRead;
    if (writes && formal.access == FormalAccess::kRead) return Invalid(Cat("writes the read-only formal ", formal.name));
    return Status::Ok();
  }

  // Dimensions that are constants or products of symbols, once all plain symbols are known.
  Status Products(const std::array<const Operand*, kMaxOperands>& bound) const {
    for (size_t i = 0; i < op_.operands.size(); ++i) {
      if (bound[i] == nullptr) continue;
      for (int axis = 0; axis < bound[i]->rank; ++axis) {
        const DimInfo& dim = op_.operands[i].dims[axis];
        int64_t expected = dim.constant;
        for (const int8_t symbol : dim.symbols) {
          if (symbol >= 0) expected *= symbols_[symbol];
        }
        if (bound[i]->dim[axis] != expected) {
          return Invalid(Cat(op_.operands[i].name, " has a dimension of ", bound[i]->dim[axis], ", not ", expected));
        }
      }
    }
    return Status::Ok();
  }

  Status Workspace() const {
    if (!call_.workspace) return Status::Ok();
    const Formal& formal = procedure_.formals[call_.workspace->formal];
    const bool inside = call_.workspace->bytes <= formal.bytes && call_.workspace->offset <= formal.bytes - call_.workspace->bytes;
    if (formal.access != FormalAccess::kScratch || !inside) return Invalid("has a workspace outside the scratch formal");
    return Status::Ok();
  }

  Status Invalid(std::string what) const {
    return Status(StatusCode::kInvalidArgument, Cat("procedure ", procedure_.id, ": ", op_.name, " ", what));
  }

  const Call& call_;
  const Procedure& procedure_;
  const OpInfo& op_;
  std::array<int64_t, kMaxSymbols> symbols_{};
};

}  // namespace

Status CheckCall(const Call& call, const Procedure& procedure) {
  if (call.op >= kOpCount) {
    return Status(StatusCode::kInvalidArgument, Cat("procedure ", procedure.id, " calls op ", call.op, " of ", kOpCount));
  }
  const OpInfo& op = kOps[call.op];
  if (op.symbols > kMaxSymbols) return Status(StatusCode::kInvalidArgument, Cat(op.name, " has too many symbols"));
  return CallChecker(call, procedure, op).Check();
}

}  // namespace lema
