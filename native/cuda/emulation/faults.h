// Faults on demand, so that tests meet what a sound device does not show. LEMA_EMULATED_FAULT=KIND:N, read when the first
// stream is made, is told by the N-th of its kind:
//
//   launch   a launch is refused, and nothing else happens
//   kernel   a kernel fails on the device, which fails everything after it, as a device does until its process ends
//   copy     a copy between memories, in the same way
#pragma once

namespace lema::emulation {

enum class FaultKind { kNone, kLaunch, kKernel, kCopy };

// Begins to count anew.
void ReadWantedFault();
// Whether the one at hand is the one that has to fail.
bool Fails(FaultKind kind);

}  // namespace lema::emulation
