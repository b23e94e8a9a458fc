// Turns the runtime's description of one run (layout: runtime/encode.ts) into a RunRequest, whose byte ranges refer to
// the given buffer.
#pragma once

#include <span>

#include "core/engine.h"

namespace lema {

Status DecodeRun(std::span<const std::byte> bytes, RunRequest* request);

}  // namespace lema
