// Backward ops against central finite differences of the reference forward, both in f64.
#pragma once

#include "op_report.h"

namespace lema::test {

void TestGradients(Report& report);

}  // namespace lema::test
