#include "op_case.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/text.h"
#include "kernels/number.h"

namespace lema::test {
namespace {

int64_t SizeOfDim(const DimInfo& dim, const std::vector<int64_t>& sizes) {
  int64_t size = dim.constant;
  for (const int8_t symbol : dim.symbols) {
    if (symbol >= 0) size *= sizes[static_cast<size_t>(symbol)];
  }
  return size;
}

bool IsFloat(DType dtype) { return dtype != DType::kI32; }

// A multiple of 2⁻¹⁰ below 1 in f16; exact.
uint16_t HalfOf(int thousandths) {
  const uint32_t magnitude = static_cast<uint32_t>(std::abs(thousandths));
  if (magnitude == 0) return 0;
  const uint32_t exponent = static_cast<uint32_t>(std::bit_width(magnitude)) - 1;
  const uint32_t bits = (exponent + 5) << 10 | (magnitude << (10 - exponent) & 0x3ffu);
  return static_cast<uint16_t>(bits | (thousandths < 0 ? 0x8000u : 0u));
}

void StoreAny(const TensorView& view, int64_t i, double value) {
  if (view.dtype == DType::kF16) {
    view.as<uint16_t>()[i] = HalfOf(static_cast<int>(value * 1024.0));
  } else {
    Store(view, i, value);
  }
}

}  // namespace

double Uniform(uint64_t seed, uint64_t index) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + index * 0xd1342543de82ef95u + 1;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-52 - 1.0;
}

int OpCase::Index(const char* operand) const {
  for (size_t i = 0; i < info().operands.size(); ++i) {
    if (std::strcmp(info().operands[i].name, operand) == 0) return static_cast<int>(i);
  }
  return -1;
}

TensorView& OpCase::view(const char* operand) { return call.operands[static_cast<size_t>(Index(operand))]; }
const TensorView& OpCase::view(const char* operand) const { return call.operands[static_cast<size_t>(Index(operand))]; }

void OpCase::Bind(size_t misalignment) {
  for (size_t i = 0; i < memory.size(); ++i) {
    TensorView& view = call.operands[i];
    if (!view.present()) continue;
    Buffer moved{std::vector<std::byte>(view.bytes() + 256), 0};
    const size_t past = reinterpret_cast<uintptr_t>(moved.bytes.data()) % 64;
    moved.offset = (past == 0 ? 0 : 64 - past) + misalignment * SizeOf(view.dtype);
    if (!memory[i].bytes.empty()) std::memcpy(moved.data(), memory[i].data(), view.bytes());
    memory[i] = std::move(moved);
    view.data = memory[i].data();
  }
}

OpCase MakeCase(Op op, std::vector<int64_t> sizes, const CaseOptions& options) {
  OpCase made{op, "", std::move(sizes), {}, {}};
  const OpInfo& info = made.info();
  made.memory.resize(info.operands.size());
  for (size_t i = 0; i < info.operands.size(); ++i) {
    const OperandInfo& operand = info.operands[i];
    if (operand.optional && !options.optional) continue;
    TensorView& view = made.call.operands[i];
    view.dtype = options.dtypes[i];
    view.rank = operand.rank;
    for (int axis = 0; axis < operand.rank; ++axis) view.dim[axis] = SizeOfDim(operand.dims[static_cast<size_t>(axis)], made.sizes);
    made.call.accumulate[i] = operand.accumulable && options.accumulate;
  }
  for (size_t i = 0; i < options.attributes.size(); ++i) made.call.attributes[i] = options.attributes[i];
  made.Bind();
  for (size_t i = 0; i < info.operands.size(); ++i) {
    const TensorView& view = made.call.operands[i];
    if (!view.present() || !IsFloat(view.dtype)) continue;
    for (int64_t e = 0; e < view.elements(); ++e) StoreAny(view, e, Uniform(options.seed * 64 + i, static_cast<uint64_t>(e)));
  }
  return made;
}

OpCase InDouble(const OpCase& from) {
  OpCase made = from;
  made.memory.assign(made.memory.size(), Buffer{});
  for (size_t i = 0; i < made.memory.size(); ++i) {
    if (made.call.operands[i].present() && IsFloat(made.call.operands[i].dtype)) made.call.operands[i].dtype = DType::kF64;
  }
  made.Bind();
  for (size_t i = 0; i < made.memory.size(); ++i) {
    const TensorView& source = from.call.operands[i];
    const TensorView& view = made.call.operands[i];
    if (!view.present()) continue;
    if (!IsFloat(view.dtype)) std::memcpy(view.data, source.data, view.bytes());
    for (int64_t e = 0; IsFloat(view.dtype) && e < view.elements(); ++e) Store(view, e, Load(source, e));
  }
  return made;
}

bool HasBatch(const OpCase& from, size_t operand) {
  const OperandInfo& info = from.info().operands[operand];
  return info.rank > 1 && info.dims[0].constant == 1 && info.dims[0].symbols[0] == 0;
}

OpCase OneSequence(const OpCase& from, int64_t b) {
  OpCase made = from;
  made.memory.assign(made.memory.size(), Buffer{});
  for (size_t i = 0; i < made.memory.size(); ++i) {
    if (made.call.operands[i].present() && HasBatch(from, i)) made.call.operands[i].dim[0] = 1;
  }
  made.Bind();
  for (size_t i = 0; i < made.memory.size(); ++i) {
    const TensorView& view = made.call.operands[i];
    if (!view.present()) continue;
    const size_t skip = HasBatch(from, i) ? static_cast<size_t>(b) * view.bytes() : 0;
    std::memcpy(view.data, from.call.operands[i].as<const std::byte>() + skip, view.bytes());
  }
  return made;
}

std::string RunCase(OpCase& call, const std::array<Kernel, kOpCount>& kernels, TaskRunner& runner) {
  constexpr size_t kGuard = 256;
  constexpr std::byte kFill{0xff};
  const Kernel& kernel = kernels[static_cast<size_t>(call.op)];
  Preparation preparation;
  CallRecord shapes = call.call;
  for (TensorView& view : shapes.operands) view.data = nullptr;
  if (Status status = kernel.prepare(shapes, runner.threads(), &preparation); !status.ok()) return status.message();
  std::vector<std::byte> bytes(preparation.workspace_bytes + kGuard + 64, kFill);
  std::byte* const start = bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
  KernelContext context{runner, {start, preparation.workspace_bytes}};
  if (Status status = kernel.launch(call.call, preparation.call.get(), context); !status.ok()) return status.message();
  for (const std::byte* at = start + preparation.workspace_bytes; at != bytes.data() + bytes.size(); ++at) {
    if (*at != kFill) return Cat("wrote past its workspace of ", preparation.workspace_bytes, " bytes");
  }
  return "";
}

}  // namespace lema::test
