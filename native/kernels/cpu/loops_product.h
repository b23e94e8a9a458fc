// Matrix products on packed panels, in f32 or in pairs of bf16 (AVX512-BF16).
//
// Everything is counted in 32-bit words along the depth: an f32, or two consecutive bf16 (the last pair padded with
// zero). A packed factor is a row of panels; a panel is [words of depth][up to kPanel columns]. Where the processor has
// no bf16 product, bf16 values are widened to f32 when they are packed: the same values, summed one by one.
#pragma once

#include "kernels/cpu/loops_elementwise.h"

namespace lema::cpu::LEMA_ISA {

inline constexpr int64_t kPanel = 2 * kLanes;

#if defined(__AVX512BF16__)
inline constexpr bool kHasBf16Product = true;
#else
inline constexpr bool kHasBf16Product = false;
#endif

inline bool InPairs(DType compute) { return kHasBf16Product && compute == DType::kBF16; }
inline int64_t Words(int64_t depth, DType compute) { return InPairs(compute) ? (depth + 1) / 2 : depth; }

inline size_t PackedBytes(int64_t extent, int64_t depth, DType compute) {
  return static_cast<size_t>((extent + kLanes - 1) / kLanes * kLanes * Words(depth, compute)) * 4;
}

inline F32 MultiplyAdd(F32 a, F32 b, F32 sum, bool pairs) {
#if defined(__AVX512BF16__)
  if (pairs) return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
#endif
  (void)pairs;
  return Fma(a, b, sum);
}

// The left factor of a micro-kernel: row i, word k at data + i·row + k·step.
struct LeftWords {
  const uint32_t* data;
  int64_t row;
  int64_t step;
};

// A pair of bf16 may begin at any even address.
inline F32 Broadcast(const uint32_t* word) {
  uint32_t bits;
  std::memcpy(&bits, word, sizeof bits);
  return reinterpret_cast<F32>(U32{} + bits);
}

// Rows × (Vectors · kLanes) sums. kAlong: the words of a row lie side by side (step = 1); else the rows of a word do.
template <int Rows, int Vectors, bool kPairs, bool kAlong>
inline __attribute__((always_inline)) void Accumulate(const LeftWords& left, const uint32_t* right, int64_t right_step,
                                                      int64_t words, F32 (&sums)[Rows][Vectors]) {
  // Three rows share a pointer, so that all addresses fit in registers.
  constexpr int kGroups = (Rows + 2) / 3;
  const uint32_t* group[kGroups];
  for (int g = 0; g < kGroups; ++g) group[g] = left.data + (kAlong ? 3 * g * left.row : 3 * g);
  const int64_t row = kAlong ? left.row : 1;
  const int64_t step = kAlong ? 1 : left.step;
#pragma GCC unroll 2
  for (int64_t k = 0; k < words; ++k) {
    F32 b[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) b[j] = LoadBits<F32>(right + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const F32 a = Broadcast(group[i / 3] + (i % 3) * row);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sums[i][j] = MultiplyAdd(a, b[j], sums[i][j], kPairs);
    }
    right += right_step;
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) group[g] += step;
  }
}

template <typename Element>
inline void StoreSums(F32 sum, Element* to, int64_t lanes, bool accumulate, float alpha) {
  F32 value = alpha * sum;
  if (accumulate) value = Load(to, lanes) + value;
  Store(to, value, lanes);
}

template <int Rows, int Vectors, bool kPairs, bool kAlong>
__attribute__((noinline)) void Tile(const LeftWords& left, const uint32_t* right, int64_t right_step, int64_t words,
                                    int64_t columns, const Result& result, int64_t at) {
  F32 sums[Rows][Vectors] = {};
  Accumulate<Rows, Vectors, kPairs, kAlong>(left, right, right_step, words, sums);
  WithResultType(result.data, result.dtype, [&](auto* to) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) {
        const int64_t lanes = Min(kLanes, columns - j * kLanes);
        if (lanes > 0) StoreSums(sums[i][j], to + at + i * result.stride + j * kLanes, lanes, result.accumulate, result.alpha);
      }
    }
  });
}

// All rows against one panel of `columns` columns.
template <int Vectors, bool kPairs, bool kAlong>
inline void Panel(LeftWords left, int64_t rows, const uint32_t* right, int64_t right_step, int64_t words,
                  int64_t columns, const Result& result, int64_t at) {
  const auto take = [&](auto count) {
    constexpr int kRows = decltype(count)::value;
    while (rows >= kRows) {
      Tile<kRows, Vectors, kPairs, kAlong>(left, right, right_step, words, columns, result, at);
      rows -= kRows;
      left.data += kRows * left.row;
      at += kRows * result.stride;
    }
  };
#if defined(__AVX512F__)
  take(Count<14>{});
  take(Count<12>{});
  take(Count<8>{});
#elif defined(__AVX2__)
  take(Count<6>{});
#endif
  take(Count<4>{});
  take(Count<2>{});
  take(Count<1>{});
}

// rows × columns; the right factor at right + panel·panel_step + k·right_step, both in words.
inline void Multiply(const LeftWords& left, int64_t rows, const uint32_t* right, int64_t panel_step, int64_t right_step,
                     int64_t words, int64_t columns, bool pairs, const Result& result, int64_t at) {
  const bool along = left.step == 1 && left.row != 1;
  const auto panels = [&](auto is_pairs, auto is_along) {
    constexpr bool kPairs = decltype(is_pairs)::value != 0;
    constexpr bool kAlong = decltype(is_along)::value != 0;
    // A few panels stay in the second cache while the rows pass by, and of these some in the first for all panels.
    constexpr int64_t kRowBlock = 28;
    constexpr int64_t kColumnBlock = 4 * kPanel;
    const auto blocks = [&](int64_t first_row, int64_t first_column) {
      const LeftWords block{left.data + first_row * left.row, left.row, left.step};
      const int64_t count = Min(kRowBlock, rows - first_row);
      for (int64_t column = first_column; column < Min(columns, first_column + kColumnBlock); column += kPanel) {
        const int64_t rest = Min(kPanel, columns - column);
        const uint32_t* panel = right + column / kPanel * panel_step;
        const int64_t to = at + first_row * result.stride + column;
        if (rest > kLanes) {
          Panel<2, kPairs, kAlong>(block, count, panel, right_step, words, rest, result, to);
        } else {
          // A last panel of one vector is packed that narrow.
          const int64_t step = right_step == kPanel && panel_step == kPanel * words ? kLanes : right_step;
          Panel<1, kPairs, kAlong>(block, count, panel, step, words, rest, result, to);
        }
      }
    };
    for (int64_t column = 0; column < columns; column += kColumnBlock) {
      for (int64_t row = 0; row < rows; row += kRowBlock) blocks(row, column);
    }
  };
  if constexpr (kHasBf16Product) {
    if (pairs) return along ? panels(Count<1>{}, Count<1>{}) : panels(Count<1>{}, Count<0>{});
  }
  return along ? panels(Count<0>{}, Count<1>{}) : panels(Count<0>{}, Count<0>{});
}

// The left factor in place where its memory already is rows of words; otherwise packed as [words][rows].
inline LeftWords PrepareLeft(const Factor& left, int64_t rows, int64_t depth, DType compute, void* row_scratch);

inline void Product(const Factor& left, const void* packed_right, int64_t rows, int64_t columns, int64_t depth,
                    DType compute, const Result& result, void* row_scratch) {
  const int64_t words = Words(depth, compute);
  const LeftWords prepared = PrepareLeft(left, rows, depth, compute, row_scratch);
  Multiply(prepared, rows, static_cast<const uint32_t*>(packed_right), kPanel * words, kPanel, words, columns,
           InPairs(compute), result, 0);
}

}  // namespace lema::cpu::LEMA_ISA
