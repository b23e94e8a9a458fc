// Matrix products of a few rows, as decoding makes them: each weight is used so seldom that packing it would cost more
// than the product. It goes from memory through registers, transposed there, and has been used. Sums are made in the
// same order as those on packed panels, so the bits are the same.
#pragma once

#include "kernels/cpu/loops_pack.h"

namespace lema::cpu::LEMA_ISA {

// Rows × up to kLanes columns, whose depth lies side by side, `stride` elements apart.
template <int Rows, bool kPairs, typename Element>
inline void FewRowsOfColumns(const LeftWords& left, const Element* right, int64_t stride, int64_t columns,
                             int64_t depth, DType compute, const Result& result, int64_t at) {
  const int64_t words = Words(depth, compute);
  F32 sums[Rows] = {};
  constexpr int kWidth = kPairs ? 2 : 1;  // elements of a word
  // `end`: of the depth, or far behind it where a whole block is left, so that its loads need no mask.
  const auto block = [&](int64_t word, int64_t end, int count) __attribute__((always_inline)) {
    U32 block[kLanes];
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j) block[j] = j < columns ? RowWords(right + j * stride, word, end, compute) : U32{};
    TransposeStep<kLanes / 2>(block);
    const uint32_t* const from = left.data + word * left.step;
#pragma GCC unroll 16
    for (int k = 0; k < count; ++k) {
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) {
        const F32 x = Broadcast(from + i * left.row + k * left.step);
        sums[i] = MultiplyAdd(x, reinterpret_cast<F32>(block[k]), sums[i], kPairs);
      }
    }
  };
  int64_t word = 0;
  for (; word + kLanes <= words && (word + kLanes) * kWidth <= depth; word += kLanes) {
    block(word, (word + kLanes) * kWidth, kLanes);
  }
  for (; word < words; word += kLanes) block(word, depth, static_cast<int>(Min(kLanes, words - word)));
  WithResultType(result.data, result.dtype, [&](auto* to) {
    for (int i = 0; i < Rows; ++i) {
      StoreSums(sums[i], to + at + i * result.stride, columns, result.accumulate, result.alpha);
    }
  });
}

template <int Rows, bool kPairs>
inline void FewRowsOf(const LeftWords& left, const Factor& right, int64_t columns, int64_t depth, DType compute,
                      const Result& result) {
  WithType(right.data, right.dtype, [&](const auto* from) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      FewRowsOfColumns<Rows, kPairs>(left, from + column * right.outer, right.outer, Min(kLanes, columns - column),
                                     depth, compute, result, column);
    }
  });
}

// 1 to kFewRows rows; the depth of the right factor lies side by side. `row_scratch` as in Product.
inline void ProductOfFewRows(const Factor& left, const Factor& right, int64_t rows, int64_t columns, int64_t depth,
                             DType compute, const Result& result, void* row_scratch) {
  const LeftWords prepared = PrepareLeft(left, rows, depth, compute, row_scratch);
  const auto take = [&](auto count) {
    constexpr int kRows = decltype(count)::value;
    if (rows != kRows) return;
    if constexpr (kHasBf16Product) {
      if (InPairs(compute)) return FewRowsOf<kRows, true>(prepared, right, columns, depth, compute, result);
    }
    FewRowsOf<kRows, false>(prepared, right, columns, depth, compute, result);
  };
  take(Count<1>{});
  take(Count<2>{});
  take(Count<3>{});
  take(Count<4>{});
}

}  // namespace lema::cpu::LEMA_ISA
