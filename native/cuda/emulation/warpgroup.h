// cuda/warpgroup.h for the emulated device. A factor in shared memory is read as a descriptor says, and not before the
// product is waited for: until then sums are what no result survives, and touching a factor races with the product.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/number.h"

namespace lema::cuda {

// What a descriptor of the device holds.
struct MatrixOfShared {
  std::function<uint16_t(int)> element;  // by its place in shared memory
  int first;                             // bytes from an aligned place
  int panel_bytes;

  uint16_t Swizzled(int byte) const { return element((byte ^ (byte >> 7 & 7) << 4) / 2); }
  // Element of outer index `outer` and depth `k`, below 16.
  uint16_t AlongColumns(int outer, int k) const { return Swizzled(first + outer / 8 * kPanelAlignment + outer % 8 * kPanelBytes + k * 2); }
  uint16_t AlongRows(int outer, int k) const {
    return Swizzled(first + outer / kPanelColumns * panel_bytes + outer % kPanelColumns * 2 + k / 8 * kPanelAlignment + k % 8 * kPanelBytes);
  }
};

template <typename Array>
MatrixOfShared MatrixDescriptor(Array& shared, int at, int panel_rows) {
  if (at % 8 != 0) emulation::Fault("a factor that begins at no multiple of 16 bytes", __FILE__, __LINE__);
  return {[&shared](int i) { return static_cast<uint16_t>(shared[i]); }, at * 2, panel_rows * kPanelBytes};
}

template <int kCount>
void Settle(float (&)[kCount][4]) {}

inline void BeginProducts() {}
inline void CommitProducts() { emulation::Commit(emulation::Later::kProducts); }
template <int kPending>
void AwaitProducts() {
  emulation::Await(emulation::Later::kProducts, kPending);
}
inline void ShowToProducts() { emulation::Show(); }

inline int SmallestOfWarp(int value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value = std::min(value, __shfl_xor_sync(0xffffffffu, value, step));
  return value;
}
inline int LargestOfWarp(int value) { return -SmallestOfWarp(-value); }

// Of 16 of depth, the elements of two rows of a left factor: this lane's, and the eighth behind it.
struct RowsOfLeft {
  float at[2][16];
};

// Adds left · right to this lane's sums, when it is waited for; `right` gives an element by column and depth.
template <int kCount, typename Left, typename Right>
void MultiplyLater(float (&d)[kCount][4], Left left, Right right) {
  if (!emulation::Shown()) emulation::Fault("a product of what was not shown to it", __FILE__, __LINE__);
  float before[kCount][4];
  __builtin_memcpy(before, d, sizeof(d));
  for (auto& four : d) {
    for (float& sum : four) sum = NAN;
  }
  struct Sums {
    float at[kCount][4];
  } from;
  __builtin_memcpy(from.at, before, sizeof(before));
  emulation::Defer(emulation::Later::kProducts, [&d, from, left, right] {
    const RowsOfLeft rows = left();
    const int t = static_cast<int>(emulation::Lane()) % 4;
    for (int j = 0; j < kCount; ++j) {
      for (int i = 0; i < 4; ++i) {
        double sum = 0.0;
        for (int k = 0; k < 16; ++k) sum += static_cast<double>(rows.at[i / 2][k]) * FromBf16(right(j * 8 + 2 * t + i % 2, k));
        // On top of what the products before it have left.
        d[j][i] = static_cast<float>((std::isnan(d[j][i]) ? from.at[j][i] : d[j][i]) + sum);
      }
    }
  });
}

inline void MultiplyShared(float (&d)[8][4], const MatrixOfShared& left, const MatrixOfShared& right) {
  const int row = static_cast<int>(threadIdx.x) / kWarp % 4 * 16 + static_cast<int>(emulation::Lane()) / 4;
  MultiplyLater(
      d,
      [left, row] {
        RowsOfLeft rows;
        for (int half = 0; half < 2; ++half) {
          for (int k = 0; k < 16; ++k) rows.at[half][k] = FromBf16(left.AlongColumns(row + half * 8, k));
        }
        return rows;
      },
      [right](int column, int k) { return right.AlongColumns(column, k); });
}

template <int kCount>
void MultiplyRows(float (&d)[kCount][4], const uint32_t (&left)[4], const MatrixOfShared& right) {
  const emulation::WarpRegisters& registers = emulation::ShareRegisters(left, 4);
  const unsigned g = emulation::Lane() / 4;
  RowsOfLeft rows;
  for (unsigned half = 0; half < 2; ++half) {
    for (unsigned k = 0; k < 16; ++k) {
      rows.at[half][k] = FromBf16(static_cast<uint16_t>(registers.of_lane[g * 4 + k % 8 / 2][half + k / 8 * 2] >> 16 * (k % 2)));
    }
  }
  MultiplyLater(d, [rows] { return rows; }, [right](int column, int k) { return right.AlongRows(column, k); });
}

}  // namespace lema::cuda
