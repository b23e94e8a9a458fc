// Packing: a factor of any dtype and orientation becomes panels of words in the dtype that the product computes in.
#pragma once

#include "kernels/cpu/loops_product.h"

namespace lema::cpu::LEMA_ISA {

// Two bf16 in a word: the even depth in the low half.
inline U32 Pair(U32 even, U32 odd) { return even | odd << 16; }

template <typename Element>
inline U32 Bf16Payload(const Element* from, int64_t lanes) {
  return RoundToBf16(Load(from, lanes));
}
inline U32 Bf16Payload(const Bf16* from, int64_t lanes) { return WidenBits(LoadBits<U16>(from, lanes)); }

// One word of f32 for each element, rounded to bf16 first where that is the compute dtype.
template <typename Element>
inline U32 SingleWords(const Element* from, int64_t lanes, bool as_bf16) {
  return as_bf16 ? Bf16Payload(from, lanes) << 16 : reinterpret_cast<U32>(Load(from, lanes));
}

// Words k … k + kLanes − 1 of one row whose depth lies side by side.
template <typename Element>
inline U32 RowWords(const Element* row, int64_t word, int64_t depth, DType compute) {
  if (!InPairs(compute)) return SingleWords(row + word, Min(kLanes, depth - word), compute == DType::kBF16);
  const int64_t first = 2 * word;
  const int64_t count = Min(2 * kLanes, depth - first);
  if constexpr (sizeof(Element) == 2) {
    if (__is_same(Element, Bf16)) return LoadBits<U32>(reinterpret_cast<const uint16_t*>(row + first), count);
  }
  // Rounded one by one; the halves meet as 16-bit numbers in memory order.
  uint16_t halves[2 * kLanes] = {};
  ForVectors(count, [&](int64_t i, int64_t lanes) {
    StoreBits(halves + i, __builtin_convertvector(Bf16Payload(row + first + i, lanes), U16), lanes);
  });
  return LoadBits<U32>(halves);
}

template <int kStep, int... kIndex>
inline void SwapBlocks(U32& a, U32& b, Lanes<kIndex...>) {
  const U32 low = __builtin_shufflevector(a, b, ((kIndex & kStep) ? kIndex - kStep + kLanes : kIndex)...);
  b = __builtin_shufflevector(a, b, ((kIndex & kStep) ? kIndex + kLanes : kIndex + kStep)...);
  a = low;
}

template <int kStep>
inline __attribute__((always_inline)) void TransposeStep(U32 (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & kStep) == 0) SwapBlocks<kStep>(rows[i], rows[i + kStep], AllLanes{});
  }
  if constexpr (kStep > 1) TransposeStep<kStep / 2>(rows);
}

// `count` rows (at most kLanes) with their depth side by side, `stride` apart, into one column block of a panel.
template <typename Element>
inline void PackAcross(const Element* from, int64_t stride, int64_t count, int64_t depth, DType compute, uint32_t* to,
                       int64_t to_step) {
  const int64_t words = Words(depth, compute);
  for (int64_t word = 0; word < words; word += kLanes) {
    U32 block[kLanes];
    for (int i = 0; i < kLanes; ++i) block[i] = i < count ? RowWords(from + i * stride, word, depth, compute) : U32{};
    TransposeStep<kLanes / 2>(block);
    const int64_t rest = Min(kLanes, words - word);
    for (int64_t k = 0; k < rest; ++k) std::memcpy(to + (word + k) * to_step, &block[k], sizeof block[k]);
  }
}

// `count` columns (at most kLanes) that lie side by side, the depth `stride` apart.
template <typename Element>
inline void PackAlong(const Element* from, int64_t stride, int64_t count, int64_t depth, DType compute, uint32_t* to,
                      int64_t to_step) {
  if (!InPairs(compute)) {
    for (int64_t k = 0; k < depth; ++k) {
      const U32 words = SingleWords(from + k * stride, count, compute == DType::kBF16);
      std::memcpy(to + k * to_step, &words, sizeof words);
    }
    return;
  }
  for (int64_t k = 0; k < depth; k += 2) {
    const U32 odd = k + 1 < depth ? Bf16Payload(from + (k + 1) * stride, count) : U32{};
    const U32 words = Pair(Bf16Payload(from + k * stride, count), odd);
    std::memcpy(to + k / 2 * to_step, &words, sizeof words);
  }
}

inline void PackBlock(const Factor& factor, int64_t first, int64_t count, int64_t depth, DType compute, uint32_t* to,
                      int64_t to_step) {
  WithType(factor.data, factor.dtype, [&](const auto* from) {
    from += first * factor.outer;
    if (factor.inner == 1) {
      PackAcross(from, factor.outer, count, depth, compute, to, to_step);
    } else {
      PackAlong(from, factor.inner, count, depth, compute, to, to_step);
    }
  });
}

inline void PackColumns(const Factor& factor, int64_t columns, int64_t depth, DType compute, void* packed) {
  uint32_t* to = static_cast<uint32_t*>(packed);
  const int64_t words = Words(depth, compute);
  for (int64_t column = 0; column < columns; column += kLanes) {
    const int64_t panel = column / kPanel * kPanel;
    const int64_t step = columns - panel > kLanes ? kPanel : kLanes;
    PackBlock(factor, column, Min(kLanes, columns - column), depth, compute, to + panel * words + (column - panel), step);
  }
}

inline void WidenRows(const Factor& left, int64_t rows, int64_t depth, DType compute, uint32_t* to) {
  WithType(left.data, left.dtype, [&](const auto* from) {
    for (int64_t row = 0; row < rows; ++row) {
      ForVectors(depth, [&](int64_t k, int64_t lanes) {
        StoreBits(to + row * depth + k, SingleWords(from + row * left.outer + k, lanes, compute == DType::kBF16), lanes);
      });
    }
  });
}

inline LeftWords PrepareLeft(const Factor& left, int64_t rows, int64_t depth, DType compute, void* row_scratch) {
  const auto* words = static_cast<const uint32_t*>(left.data);
  if (left.dtype == compute && compute == DType::kF32) return {words, left.outer, left.inner};
  const bool whole_pairs = depth % 2 == 0 && left.outer % 2 == 0;
  if (left.dtype == compute && InPairs(compute) && left.inner == 1 && whole_pairs) return {words, left.outer / 2, 1};
  uint32_t* to = static_cast<uint32_t*>(row_scratch);
  if (left.inner == 1 && !InPairs(compute)) {
    WidenRows(left, rows, depth, compute, to);
    return {to, depth, 1};
  }
  const int64_t step = (rows + kLanes - 1) / kLanes * kLanes;
  for (int64_t row = 0; row < rows; row += kLanes) {
    PackBlock(left, row, Min(kLanes, rows - row), depth, compute, to + row, step);
  }
  return {to, 1, step};
}

}  // namespace lema::cpu::LEMA_ISA
