// Proves that a decoded plan cannot make the engine touch a byte it should not: the engine trusts no plan.
//
// - buffers lie inside their arena at their alignment; constants, step inputs and every range lie inside their buffer;
// - tensors lie inside their file; a read stays inside its tensor and its slot; the disk reaches host memory only;
// - calls match their op's declaration (operands, access, dtypes, shapes, attributes) and stay inside their formals;
// - a run binds every formal to bytes that are there, aligned and in the arena of its lane;
// - a wait names an earlier instruction of the same part, so that no waits form a cycle and the serial order obeys
//   them.
//
// That lifetimes are disjoint and that waits suffice is proved by schemas/verify from plan.json.
#pragma once

#include "core/plan.h"
#include "core/status.h"

namespace lema {

// kOutOfRange or kInvalidArgument, naming what is wrong.
Status CheckPlan(const Plan& plan);

// One call against its op's declaration and the formals it uses (op_checker.cc).
Status CheckCall(const Call& call, const Procedure& procedure);

}  // namespace lema
