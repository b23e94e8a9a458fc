// Scalar conversions between storage dtypes; round to nearest even, NaN stays NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/tensor.h"

namespace lema {

inline float FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t ToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline float FromF16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  // Subnormal: magnitude · 2⁻²⁴ is exact in f32.
  const float value = static_cast<float>(magnitude) * 0x1p-24f;
  return sign != 0 ? -value : value;
}

inline uint16_t ToF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);
  // Below 2⁻¹⁴ in steps of 2⁻²⁴.
  if (magnitude < 0x38800000u) return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(std::fabs(value) * 0x1p24f)));
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13));
}

// Element `i` of a dense tensor of a floating-point dtype.
inline double Load(const TensorView& tensor, int64_t i) {
  switch (tensor.dtype) {
    case DType::kBF16: return FromBf16(tensor.as<const uint16_t>()[i]);
    case DType::kF16: return FromF16(tensor.as<const uint16_t>()[i]);
    case DType::kF64: return tensor.as<const double>()[i];
    default: return tensor.as<const float>()[i];
  }
}

inline void Store(const TensorView& tensor, int64_t i, double value) {
  switch (tensor.dtype) {
    case DType::kBF16: tensor.as<uint16_t>()[i] = ToBf16(static_cast<float>(value)); break;
    case DType::kF16: break;  // no op writes f16
    case DType::kF64: tensor.as<double>()[i] = value; break;
    default: tensor.as<float>()[i] = static_cast<float>(value); break;
  }
}

// What a value becomes when it is held in `dtype`.
inline double RoundTo(DType dtype, double value) {
  switch (dtype) {
    case DType::kBF16: return FromBf16(ToBf16(static_cast<float>(value)));
    case DType::kF16: return FromF16(ToF16(static_cast<float>(value)));
    case DType::kF64: return value;
    default: return static_cast<float>(value);
  }
}

}  // namespace lema
