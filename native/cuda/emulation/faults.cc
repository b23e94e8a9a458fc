#include "cuda/emulation/faults.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace lema::emulation {
namespace {

std::atomic<FaultKind> wanted{FaultKind::kNone};
std::atomic<long> left{0};

FaultKind KindOf(std::string_view name) {
  if (name == "launch") return FaultKind::kLaunch;
  if (name == "kernel") return FaultKind::kKernel;
  if (name == "copy") return FaultKind::kCopy;
  return FaultKind::kNone;
}

}  // namespace

void ReadWantedFault() {
  const char* const value = std::getenv("LEMA_EMULATED_FAULT");
  const std::string_view text = value == nullptr ? "" : value;
  const size_t colon = text.find(':');
  wanted = colon == std::string_view::npos ? FaultKind::kNone : KindOf(text.substr(0, colon));
  left = wanted == FaultKind::kNone ? 0 : std::strtol(value + colon + 1, nullptr, 10);
}

bool Fails(FaultKind kind) { return wanted == kind && left.fetch_sub(1) == 1; }

}  // namespace lema::emulation
