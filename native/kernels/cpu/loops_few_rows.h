// Matrix products of a few rows, as decoding makes them: each weight is used so seldom that packing it would cost more
// than the product. It goes from memory through registers, transposed there, and has been used. Sums are made in the
// same order as those on packed panels, so the bits are the same.
#pragma once

#include "kernels/cpu/loops_pack.h"

namespace lema::cpu::LEMA_ISA {

// Words word … word + kLanes − 1 of kLanes columns that lie `stride` elements apart, transposed: a vector for each word.
template <typename Element>
inline __attribute__((always_inline)) void ColumnWords(const Element* right, int64_t stride, int64_t columns, int64_t word,
                                                       int64_t depth, DType compute, U32 (&block)[kLanes]) {
#pragma GCC unroll 16
  for (int j = 0; j < kLanes; ++j) block[j] = j < columns ? RowWords(right + j * stride, word, depth, compute) : U32{};
  TransposeStep<kLanes / 2>(block);
}

// The same at an edge: fewer columns, or fewer words. Not for each number of rows anew.
template <typename Element>
__attribute__((noinline)) void EdgeWords(const Element* right, int64_t stride, int64_t columns, int64_t word,
                                         int64_t depth, DType compute, U32 (&block)[kLanes]) {
  ColumnWords(right, stride, columns, word, depth, compute, block);
}

// Rows × up to kLanes columns, whose depth lies side by side, `stride` elements apart.
template <int Rows, bool kPairs, typename Element>
inline void FewRowsOfColumns(const LeftWords& left, const Element* right, int64_t stride, int64_t columns,
                             int64_t depth, DType compute, const Result& result, int64_t at) {
  const int64_t words = Words(depth, compute);
  F32 sums[Rows] = {};
  const auto add = [&](const U32 (&block)[kLanes], int64_t word, int64_t count) __attribute__((always_inline)) {
    const uint32_t* const from = left.data + word * left.step;
#pragma GCC unroll 16
    for (int64_t k = 0; k < count; ++k) {
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) {
        const F32 x = Broadcast(from + i * left.row + k * left.step);
        sums[i] = MultiplyAdd(x, reinterpret_cast<F32>(block[k]), sums[i], kPairs);
      }
    }
  };
  constexpr int64_t kBlock = kPairs ? 2 * kLanes : kLanes;  // elements of the depth
  const int64_t whole = columns == kLanes ? depth / kBlock * kLanes : 0;
  int64_t word = 0;
  for (; word < whole; word += kLanes) {
    U32 block[kLanes];
    // As far as this block goes, so that no load needs a mask.
    ColumnWords(right, stride, kLanes, word, word / kLanes * kBlock + kBlock, compute, block);
    add(block, word, kLanes);
  }
  for (; word < words; word += kLanes) {
    U32 block[kLanes];
    EdgeWords(right, stride, columns, word, depth, compute, block);
    const int64_t count = Min(kLanes, words - word);
#pragma GCC unroll 1
    for (int64_t k = 0; k < count; ++k) {
      const uint32_t* const from = left.data + (word + k) * left.step;
      for (int i = 0; i < Rows; ++i) {
        sums[i] = MultiplyAdd(Broadcast(from + i * left.row), reinterpret_cast<F32>(block[k]), sums[i], kPairs);
      }
    }
  }
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
