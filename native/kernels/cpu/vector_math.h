// Vectorised e^x.
#pragma once

#include "kernels/cpu/simd.h"

namespace lema::cpu::LEMA_ISA {

// e^x within 2 ulp on [−87.3, 88.7]; 0 below (no subnormals), ∞ above, NaN for NaN. x = n·ln 2 + r with |r| ≤ ln 2 / 2,
// e^r by the Taylor polynomial of degree 7 (remainder 5e-9 relative), then scaled by 2ⁿ in the exponent.
inline F32 Exp(F32 x) {
  constexpr float kLowest = -87.33654f;
  constexpr float kHighest = 88.72283f;
  constexpr float kRoundingBias = 12582912.0f;  // 1.5·2²³: adding it rounds to an integer
  const F32 inside = Maximum(Minimum(x, Set(kHighest)), Set(kLowest));
  const F32 shifted = Fma(inside, Set(1.44269504f), Set(kRoundingBias));
  const F32 n = shifted - kRoundingBias;
  // ln 2 in two parts; n times the first is exact.
  F32 r = Fma(n, Set(-0.693359375f), inside);
  r = Fma(n, Set(2.12194440e-4f), r);
  F32 p = Set(1.0f / 5040.0f);
  p = Fma(p, r, Set(1.0f / 720.0f));
  p = Fma(p, r, Set(1.0f / 120.0f));
  p = Fma(p, r, Set(1.0f / 24.0f));
  p = Fma(p, r, Set(1.0f / 6.0f));
  p = Fma(p, r, Set(0.5f));
  p = Fma(p, r * r, r);
  p = p + 1.0f;
  // 2ⁿ alone would overflow at n = 128 although e^x does not: two factors.
  const I32 exponent = reinterpret_cast<I32>(shifted) - 0x4b400000;
  const I32 half = exponent >> 1;
  const F32 value = p * reinterpret_cast<F32>((half + 127) << 23) * reinterpret_cast<F32>((exponent - half + 127) << 23);
  const F32 bounded = Select(x < kLowest, F32{}, Select(x > kHighest, Set(__builtin_inff()), value));
  return Select(x == x, bounded, x);
}

// 1 / (1 + e^(−x)).
inline F32 Sigmoid(F32 x) { return 1.0f / (1.0f + Exp(-x)); }

}  // namespace lema::cpu::LEMA_ISA
