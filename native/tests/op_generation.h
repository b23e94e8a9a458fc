// Generation step by step against the whole sequence at once.
#pragma once

#include "op_report.h"

namespace lema::test {

// attention_cached over a growing cache, in steps of any length: the bits of attention over the sequence.
void TestGeneration(Report& report);

}  // namespace lema::test
