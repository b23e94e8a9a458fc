// Turns the runtime's buffer (layout: runtime/encode.ts) into a Plan. Afterwards every index is in range and every
// count is what the buffer really holds; nothing else is promised, see plan_checker.h.
#pragma once

#include <span>

#include "plan.h"
#include "status.h"

namespace lema {

inline constexpr uint32_t kPlanMagic = 0x414d454c;  // "LEMA"
inline constexpr uint32_t kPlanEncoding = 1;

Status DecodePlan(std::span<const std::byte> bytes, Plan* plan);

}  // namespace lema
