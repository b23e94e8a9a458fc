// cuda/tensor_core.h for the emulated device. An asynchronous copy arrives when it is waited for; until then its place
// in shared memory holds what no result survives, and touching it races with the copy. Products are summed in double
// and rounded once: at least as exact as a device, whose bits they do not have.
#pragma once

#include <bit>

#include "kernels/number.h"

namespace lema::cuda {

inline void MultiplyBf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t own[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const emulation::WarpRegisters& registers = emulation::ShareRegisters(own, 6);
  const unsigned g = emulation::Lane() / 4, t = emulation::Lane() % 4;
  const auto half = [](uint32_t two, unsigned which) { return FromBf16(static_cast<uint16_t>(two >> 16 * which)); };
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = g + i / 2 * 8, column = 2 * t + i % 2;
    double sum = d[i];
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned owner = k % 8 / 2;
      sum += static_cast<double>(half(registers.of_lane[row % 8 * 4 + owner][row / 8 + k / 8 * 2], k % 2)) *
             half(registers.of_lane[column * 4 + owner][4 + k / 8], k % 2);
    }
    d[i] = static_cast<float>(sum);
  }
}

// The same by halves of the depth.
inline void MultiplyF16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b) {
  const uint32_t own[3] = {a0, a1, b};
  const emulation::WarpRegisters& registers = emulation::ShareRegisters(own, 3);
  const unsigned g = emulation::Lane() / 4, t = emulation::Lane() % 4;
  const auto half = [](uint32_t two, unsigned which) { return FromF16(static_cast<uint16_t>(two >> 16 * which)); };
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = i / 2, column = 2 * t + i % 2;
    double sum = d[i];
    for (unsigned k = 0; k < 8; ++k) {
      sum += static_cast<double>(half(registers.of_lane[g * 4 + k / 2][row], k % 2)) * half(registers.of_lane[column * 4 + k / 2][2], k % 2);
    }
    d[i] = static_cast<float>(sum);
  }
}

inline uint32_t PackF16(float first, float second) { return ToF16(first) | static_cast<uint32_t>(ToF16(second)) << 16; }
inline uint32_t PackBf16(float first, float second) { return ToBf16(first) | static_cast<uint32_t>(ToBf16(second)) << 16; }

inline float PowerOfTwo(float x) { return std::exp2(x); }

template <bool kTransposed, typename Array>
void LoadMatrices(Array& shared, int at, uint32_t (&to)[4]) {
  if (at % 8 != 0) emulation::Fault("a row of a matrix that begins at no multiple of 16 bytes", __FILE__, __LINE__);
  const uint32_t own = static_cast<uint32_t>(at);
  const emulation::WarpRegisters& rows = emulation::ShareRegisters(&own, 1);
  const unsigned g = emulation::Lane() / 4, t = emulation::Lane() % 4;
  for (unsigned m = 0; m < 4; ++m) {
    // The eight rows of a matrix are read at once: 16 bytes from each eighth of the banks.
    unsigned banks = 0;
    for (unsigned row = 0; row < 8; ++row) banks |= 1u << rows.of_lane[m * 8 + row][0] / 8 % 8;
    if (banks != 0xff) emulation::Fault("rows of a matrix that lie in the same banks", __FILE__, __LINE__);
    const auto element = [&](unsigned row, unsigned i) {
      return static_cast<uint32_t>(static_cast<uint16_t>(shared[static_cast<int>(rows.of_lane[m * 8 + row][0] + i)]));
    };
    to[m] = kTransposed ? element(2 * t, g) | element(2 * t + 1, g) << 16 : element(g, 2 * t) | element(g, 2 * t + 1) << 16;
  }
}

template <typename Array>
void PutEight(Array& shared, int at, const uint32_t (&from)[4]) {
  if (at % 8 != 0) emulation::Fault("eight neighbours that begin at no multiple of eight", __FILE__, __LINE__);
  for (int i = 0; i < 8; ++i) shared[at + i] = static_cast<uint16_t>(from[i / 2] >> 16 * (i % 2));
}

template <typename Array>
void GetEight(Array& shared, int at, uint32_t (&to)[4]) {
  if (at % 8 != 0) emulation::Fault("eight neighbours that begin at no multiple of eight", __FILE__, __LINE__);
  for (int i = 0; i < 4; ++i) {
    to[i] = static_cast<uint16_t>(shared[at + i * 2]) | static_cast<uint32_t>(static_cast<uint16_t>(shared[at + i * 2 + 1])) << 16;
  }
}

template <typename Array>
void CopyAsync(Array& shared, int at, const void* from, int bytes) {
  if (reinterpret_cast<uintptr_t>(from) % 16 != 0) emulation::Fault("a copy from no multiple of 16 bytes", __FILE__, __LINE__);
  if (bytes < 0 || bytes > 16) emulation::Fault("a copy of other than 0 to 16 bytes", __FILE__, __LINE__);
  struct Eight {
    uint32_t at[4];
  } arriving{};
  __builtin_memcpy(arriving.at, from, static_cast<size_t>(bytes));
  constexpr uint32_t kNothing[4] = {~0u, ~0u, ~0u, ~0u};
  PutEight(shared, at, kNothing);
  emulation::Defer(emulation::Later::kCopies, [&shared, at, arriving] { PutEight(shared, at, arriving.at); });
}

inline void CommitCopies() { emulation::Commit(emulation::Later::kCopies); }

template <int kPending>
void AwaitCopies() {
  emulation::Await(emulation::Later::kCopies, kPending);
}

}  // namespace lema::cuda
