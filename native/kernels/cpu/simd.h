// One vector of f32 in the widest instruction set that the including file is compiled for, and its storage dtypes.
//
// Kernel bodies are written once against this header and compiled once for each instruction set, each time in a
// namespace of its own (LEMA_ISA), so that the linker never mixes two of them. Such bodies call no inline function of
// the standard library for the same reason. Sums use fused multiply-add only where a body says Fma.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#if defined(__AVX512BF16__)
#define LEMA_ISA avx512bf16
#elif defined(__AVX512F__)
#define LEMA_ISA avx512
#elif defined(__AVX2__)
#define LEMA_ISA avx2
#else
#define LEMA_ISA generic
#endif

namespace lema::cpu::LEMA_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float F32 __attribute__((vector_size(4 * kLanes)));
typedef int32_t I32 __attribute__((vector_size(4 * kLanes)));
typedef uint32_t U32 __attribute__((vector_size(4 * kLanes)));
typedef uint16_t U16 __attribute__((vector_size(2 * kLanes)));

// Storage of two bytes; plain uint16_t would not say which.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// A number that a type carries.
template <int kValue>
struct Count {
  static constexpr int value = kValue;
};

// Lane numbers as a parameter pack.
template <int... kIndex>
struct Lanes {};
#if defined(__AVX512F__)
using AllLanes = Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
#elif defined(__AVX2__)
using AllLanes = Lanes<0, 1, 2, 3, 4, 5, 6, 7>;
#else
using AllLanes = Lanes<0, 1, 2, 3>;
#endif

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a < b ? b : a; }

template <int... kIndex>
inline I32 IotaOf(Lanes<kIndex...>) {
  return I32{kIndex...};
}
// 0, 1, 2, …
inline I32 Iota() { return IotaOf(AllLanes{}); }

inline F32 Set(float value) { return F32{} + value; }
inline F32 Select(I32 mask, F32 yes, F32 no) { return mask ? yes : no; }
inline F32 Maximum(F32 a, F32 b) { return a > b ? a : b; }
inline F32 Minimum(F32 a, F32 b) { return a < b ? a : b; }

inline F32 Fma(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

inline F32 SquareRoot(F32 x) {
#if defined(__AVX512F__)
  return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

template <typename Vector, typename Element>
inline Vector LoadBits(const Element* from) {
  Vector out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// Lanes [0, count) from memory, zero elsewhere.
template <typename Vector, typename Element>
inline Vector LoadBits(const Element* from, int64_t count) {
  if (count >= static_cast<int64_t>(sizeof(Vector) / sizeof(Element))) return LoadBits<Vector>(from);
  Vector out{};
#if defined(__AVX512F__)
  if constexpr (sizeof(Vector) == 64 && sizeof(Element) == 4) {
    return reinterpret_cast<Vector>(_mm512_maskz_loadu_epi32(static_cast<__mmask16>((1u << count) - 1u), from));
  } else if constexpr (sizeof(Vector) == 64 && sizeof(Element) == 2) {
    return reinterpret_cast<Vector>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((1ull << count) - 1u), from));
  }
#endif
  std::memcpy(&out, from, static_cast<size_t>(count) * sizeof(Element));
  return out;
}

template <typename Vector, typename Element>
inline void StoreBits(Element* to, Vector value, int64_t count) {
  if (count >= static_cast<int64_t>(sizeof(Vector) / sizeof(Element))) {
    std::memcpy(to, &value, sizeof value);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(Vector) == 64 && sizeof(Element) == 4) {
    _mm512_mask_storeu_epi32(to, static_cast<__mmask16>((1u << count) - 1u), reinterpret_cast<__m512i>(value));
    return;
  }
#endif
  std::memcpy(to, &value, static_cast<size_t>(count) * sizeof(Element));
}

inline U32 WidenBits(U16 bits) { return __builtin_convertvector(bits, U32); }

inline F32 FromBf16Bits(U16 bits) { return reinterpret_cast<F32>(WidenBits(bits) << 16); }

inline F32 FromF16Bits(U16 bits) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(reinterpret_cast<__m256i>(bits));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(reinterpret_cast<__m128i>(bits));
#else
  const U32 wide = WidenBits(bits);
  const U32 sign = (wide & 0x8000u) << 16;
  const U32 magnitude = wide & 0x7fffu;
  // 2¹¹² corrects the exponent's bias and makes subnormals normal; infinity and NaN need their exponent filled.
  const U32 scaled = reinterpret_cast<U32>(reinterpret_cast<F32>(magnitude << 13) * 0x1p112f);
  const U32 special = (magnitude << 13) | 0x7f800000u;
  return reinterpret_cast<F32>((magnitude >= 0x7c00u ? special : scaled) | sign);
#endif
}

// Rounded to nearest even; the payload in the low half of each lane.
inline U32 RoundToBf16(F32 value) {
  const U32 bits = reinterpret_cast<U32>(value);
  const U32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return value == value ? rounded : (bits >> 16 | 0x40u);
}

inline F32 Load(const float* from, int64_t count) { return LoadBits<F32>(from, count); }
inline F32 Load(const Bf16* from, int64_t count) { return FromBf16Bits(LoadBits<U16>(from, count)); }
inline F32 Load(const F16* from, int64_t count) { return FromF16Bits(LoadBits<U16>(from, count)); }

inline void Store(float* to, F32 value, int64_t count) { StoreBits(to, value, count); }
inline void Store(Bf16* to, F32 value, int64_t count) {
  StoreBits(to, __builtin_convertvector(RoundToBf16(value), U16), count);
}

inline float SumLanes(F32 x) {
  float half[kLanes];
  std::memcpy(half, &x, sizeof x);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) half[i] += half[i + width];
  }
  return half[0];
}

inline float MaximumLanes(F32 x) {
  float value = x[0];
  for (int i = 1; i < kLanes; ++i) value = value < x[i] ? x[i] : value;
  return value;
}

// body(first, lanes) over [0, count): whole vectors, then one part.
template <typename Body>
inline __attribute__((always_inline)) void ForVectors(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

}  // namespace lema::cpu::LEMA_ISA
