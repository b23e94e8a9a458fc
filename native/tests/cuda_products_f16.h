// Products in f16 one by one: factors far outside of f16's range against sums in double of factors that are scaled and
// rounded here, every tile and address with the same bits, and what is not finite.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/product.h"
#include "cuda_products.h"
#include "op_report.h"

namespace lema::test {

// Row (or column) i of a sequence is scaled by one of these: of gradients, of f32's least numbers, of nothing but zeros.
inline double ScaleOfRow(DType stored, int64_t batch, int64_t i) {
  if (stored == DType::kF16) return 1.0;
  constexpr int kPowers[] = {0, -20, 40, -100, 17, -149, 60};
  return i % 11 == 9 ? 0.0 : std::ldexp(1.0, kPowers[(i + 3 * batch) % 7]);
}

// A factor in memory, and as a product in f16 sees it.
class F16Factor {
 public:
  F16Factor(uint64_t seed, DType stored, cuda::Along along, const Sizes& sizes, int64_t outers, int64_t past)
      : sizes_(sizes), along_(along), outers_(outers), elements_(stored, outers * sizes.depth * sizes.batches, past, [&](int64_t at) {
          const int64_t of_sequence = at % (outers * sizes.depth);
          const int64_t i = along == cuda::Along::kDepth ? of_sequence / sizes.depth : of_sequence % outers;
          return Uniform(seed, static_cast<uint64_t>(at)) * ScaleOfRow(stored, at / (outers * sizes.depth), i);
        }) {}

  DeviceElements& elements() { return elements_; }
  cuda::Factor AsFactor() const {
    return cuda::Prepared({ElementsOf(elements_), along_ == cuda::Along::kDepth ? sizes_.depth : outers_, outers_ * sizes_.depth}, along_, DType::kF16);
  }

  // Row i of a sequence, rounded to 11 bits above 2^-28 of its largest power of two and to as many as are left below.
  std::vector<double> Rounded(int64_t batch, int64_t i) {
    std::vector<double> row;
    double largest = 0.0;
    for (int64_t k = 0; k < sizes_.depth; ++k) {
      row.push_back(Load(elements_.View(), At(sizes_, along_, outers_, batch, i, k)));
      largest = std::fmax(largest, std::fabs(row.back()));
    }
    if (elements_.dtype() == DType::kF16) return row;
    const int power = 14 - std::max(largest == 0.0 ? -112 : std::ilogb(largest), -112);
    for (double& value : row) value = std::ldexp(RoundTo(DType::kF16, std::ldexp(value, power)), -power);
    return row;
  }

 private:
  Sizes sizes_;
  cuda::Along along_;
  int64_t outers_;
  DeviceElements elements_;
};

// result = 0.5 · Σ over the batches; empty, or what went wrong.
template <typename Tile, cuda::Along kLeft, cuda::Along kRight>
std::string RunF16(const Sizes& sizes, F16Factor& left, F16Factor& right, std::vector<float>* result) {
  DeviceElements to(DType::kF32, sizes.rows * sizes.columns, 0, [](int64_t) { return 0.0; });
  DeviceElements exponents(DType::kF32, (sizes.rows + sizes.columns) * sizes.batches / 4 + 1, 0, [](int64_t) { return 0.0; });
  if (!left.elements().ok() || !right.elements().ok() || !to.ok() || !exponents.ok()) return "no memory";
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamDefault) != cudaSuccess) return "a stream";
  const cuda::ProductShape shape{sizes.rows, sizes.columns, sizes.depth, sizes.batches, DType::kF16};
  const cuda::LaunchContext context{stream, nullptr, 0, nullptr, 0};
  const auto launch = [&]() -> Status {
    std::byte* workspace = exponents.data();
    cuda::Factor l = left.AsFactor(), r = right.AsFactor();
    LEMA_RETURN_IF_ERROR(cuda::FindExponents<kLeft>(&l, sizes.rows, shape, &workspace, context));
    LEMA_RETURN_IF_ERROR(cuda::FindExponents<kRight>(&r, sizes.columns, shape, &workspace, context));
    const cuda::ScaledResult into{ElementsOf(to), sizes.columns, 0.5f, true};
    return cuda::LaunchF16Product<Tile, kLeft, kRight>(l, r, shape, into, context);
  };
  if (const Status status = launch(); !status.ok()) return status.message();
  if (const cudaError_t error = cudaStreamSynchronize(stream); error != cudaSuccess) return cudaGetErrorString(error);
  (void)cudaStreamDestroy(stream);
  if (!to.Fetch()) return "a copy";
  const float* const values = to.View().as<const float>();
  result->assign(values, values + sizes.rows * sizes.columns);
  return "";
}

inline std::string CheckF16(const Sizes& sizes, F16Factor& left, F16Factor& right, const std::vector<float>& result) {
  std::vector<double> sums(result.size()), magnitudes(result.size());
  for (int64_t b = 0; b < sizes.batches; ++b) {
    std::vector<std::vector<double>> columns;
    for (int64_t j = 0; j < sizes.columns; ++j) columns.push_back(right.Rounded(b, j));
    for (int64_t i = 0; i < sizes.rows; ++i) {
      const std::vector<double> row = left.Rounded(b, i);
      for (int64_t j = 0; j < sizes.columns; ++j) {
        const auto at = static_cast<size_t>(i * sizes.columns + j);
        for (size_t k = 0; k < row.size(); ++k) {
          const double product = 0.5 * row[k] * columns[static_cast<size_t>(j)][k];
          sums[at] += product;
          magnitudes[at] += std::fabs(product);
        }
      }
    }
  }
  // The emulated device rounds a sum once for each mma; what a real one may cut off each time is less than four times that.
  const double tolerance = static_cast<double>(sizes.depth / 8 + 4) * 0x1p-22;
  for (size_t at = 0; at < result.size(); ++at) {
    // A result may be one of f32's numbers below its normal ones.
    if (std::fabs(result[at] - sums[at]) <= tolerance * magnitudes[at] + 0x1p-148) continue;
    return Cat("[", at / static_cast<size_t>(sizes.columns), ", ", at % static_cast<size_t>(sizes.columns), "] is ", result[at], ", not ", sums[at]);
  }
  return "";
}

template <cuda::Along kLeft, cuda::Along kRight>
void TestF16Sizes(const Sizes& sizes, Report& report) {
  for (const DType stored : {DType::kF32, DType::kBF16, DType::kF16}) {
    std::vector<float> first, other;
    const auto run = [&]<typename Tile>(int64_t past, std::vector<float>* result) {
      F16Factor left(1, DType::kF32, kLeft, sizes, sizes.rows, past), right(2, stored, kRight, sizes, sizes.columns, past);
      std::string problem = RunF16<Tile, kLeft, kRight>(sizes, left, right, result);
      if (problem.empty() && result == &first) problem = CheckF16(sizes, left, right, first);
      if (problem.empty() && std::memcmp(first.data(), result->data(), first.size() * sizeof(float)) != 0) problem = "other bits";
      return problem;
    };
    const std::string name = Cat("f16 by ", NameOf(stored), ", ", NameOf(sizes, kLeft, kRight));
    report.Add("product", Cat("32x32 ", name), run.template operator()<cuda::NarrowF16Tile>(0, &first));
    report.Add("product", Cat("32x32, misaligned, ", name), run.template operator()<cuda::NarrowF16Tile>(1, &other));
    report.Add("product", Cat("64x64 ", name), run.template operator()<cuda::MediumF16Tile>(0, &other));
    report.Add("product", Cat("128x128 ", name), run.template operator()<cuda::LargeF16Tile>(0, &other));
  }
}

// An infinity or NaN reaches its row or column of the result, and changes no bit of another.
inline void TestF16NotFinite(Report& report) {
  constexpr Sizes kSizes{33, 40, 70, 1};
  constexpr cuda::Along kDepth = cuda::Along::kDepth, kOuter = cuda::Along::kOuter;
  const auto run = [&](bool finite, std::vector<float>* result) {
    const auto value = [&](uint64_t seed, int64_t at, int64_t infinite, int64_t no_number) {
      if (!finite && at == infinite) return -HUGE_VAL;
      return !finite && at == no_number ? std::nan("") : Uniform(seed, static_cast<uint64_t>(at)) * 1e-9;
    };
    // Row 3 and row 5 of the left factor, column 7 of the right one.
    DeviceElements left(DType::kF32, kSizes.rows * kSizes.depth, 0, [&](int64_t at) { return value(1, at, 3 * kSizes.depth + 69, 5 * kSizes.depth); });
    DeviceElements right(DType::kF32, kSizes.columns * kSizes.depth, 0, [&](int64_t at) { return value(2, at, 50 * kSizes.columns + 7, -1); });
    DeviceElements to(4, DType::kF32, kSizes.rows * kSizes.columns), exponents(5, DType::kF32, kSizes.rows + kSizes.columns);
    cudaStream_t stream = nullptr;
    if (!left.ok() || !right.ok() || !to.ok() || cudaStreamCreateWithFlags(&stream, cudaStreamDefault) != cudaSuccess) return false;
    const cuda::LaunchContext context{stream, exponents.data(), 0, nullptr, cuda::kF16TensorCoreCapability};
    const Status status = cuda::Product<kDepth, kOuter>({ElementsOf(left), kSizes.depth}, {ElementsOf(right), kSizes.columns},
                                                        {kSizes.rows, kSizes.columns, kSizes.depth, 1, DType::kF16},
                                                        cuda::ScaledResult{ElementsOf(to), kSizes.columns, 1.0f, false}, context);
    const bool done = status.ok() && cudaStreamSynchronize(stream) == cudaSuccess && to.Fetch();
    (void)cudaStreamDestroy(stream);
    const float* const values = to.View().as<const float>();
    result->assign(values, values + kSizes.rows * kSizes.columns);
    return done;
  };
  std::vector<float> clean, other;
  if (!run(true, &clean) || !run(false, &other)) return report.Add("product", "f16, not finite", "failed");
  std::string problem;
  for (int64_t i = 0; i < kSizes.rows; ++i) {
    for (int64_t j = 0; j < kSizes.columns; ++j) {
      const auto at = static_cast<size_t>(i * kSizes.columns + j);
      const bool touched = i == 3 || i == 5 || j == 7;
      if (touched ? !std::isfinite(other[at]) && (i != 5 || std::isnan(other[at])) : std::memcmp(&clean[at], &other[at], sizeof(float)) == 0) continue;
      problem = Cat("[", i, ", ", j, "] is ", other[at], ", and ", clean[at], " where all is finite");
    }
  }
  report.Add("product", "f16, infinities and NaN", problem);
}

}  // namespace lema::test
