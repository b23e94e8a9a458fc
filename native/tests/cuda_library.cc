// Products by the matrix library of this machine, against sums in double: both layouts of the right factor, alone and on top
// of what was there; and what becomes of a library whose sums depend on the number of rows.
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "cuda/library_products.h"
#include "device_elements.h"
#include "kernels/number.h"
#include "op_report.h"

namespace lema::test {
namespace {

using cuda::LibraryProduct, cuda::LibraryProducts;

// Empty, or what is wrong.
std::string Compare(const LibraryProducts& library, const LibraryProduct& p, bool accumulate, cudaStream_t stream) {
  DeviceElements left(1, DType::kBF16, p.rows * p.depth), right(2, DType::kBF16, p.columns * p.depth), result(3, DType::kF32, p.rows * p.columns);
  if (!left.ok() || !right.ok() || !result.ok()) return "no memory";
  std::vector<double> expected(static_cast<size_t>(p.rows * p.columns));
  for (int64_t m = 0; m < p.rows; ++m) {
    for (int64_t n = 0; n < p.columns; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < p.depth; ++k) {
        sum += Load(left.View(), m * p.depth + k) * Load(right.View(), p.right_along_depth ? n * p.depth + k : k * p.columns + n);
      }
      const int64_t at = m * p.columns + n;
      expected[static_cast<size_t>(at)] = 0.5 * sum + (accumulate ? Load(result.View(), at) : 0);
    }
  }
  if (const Status status = library.Multiply(p, left.data(), right.data(), result.data(), 0.5f, accumulate, stream); !status.ok()) return status.message();
  if (cudaStreamSynchronize(stream) != cudaSuccess || !result.Fetch()) return "the product failed";
  const double allowed = 1e-6 * (1 + 0.5 * std::sqrt(static_cast<double>(p.depth)));
  for (size_t at = 0; at < expected.size(); ++at) {
    const double value = Load(result.View(), static_cast<int64_t>(at));
    if (!(std::fabs(value - expected[at]) <= allowed)) return Cat("element ", at, " is ", value, ", not ", expected[at]);
  }
  return "";
}

// What becomes of products that suit the library.
enum class Expected { kServed, kOwn, kRefusedAtForty };

// Empty, or what is wrong.
std::string CheckPrepared(const Status& prepared, bool has, int64_t rows, Expected expected) {
  if (expected == Expected::kRefusedAtForty && rows == 40) return !prepared.ok() && !has ? "" : "taken";
  if (!prepared.ok()) return prepared.message();
  if (expected == Expected::kOwn) return has ? "taken" : "";
  return has ? "" : "refused";
}

int Main(Expected expected) {
  Report report;
  const auto library = LibraryProducts::Find(80);
  if (library == nullptr) {
    std::string where;
    (void)cuda::FindCublasLt(&where);
    report.Add("library", where, "not found");
    return report.Finish();
  }
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return 1;
  // The last is more than a call of the library computes.
  for (const int64_t rows : {int64_t{1}, int64_t{40}, int64_t{200}, LibraryProducts::kMostRows + 3}) {
    for (const bool along_depth : {true, false}) {
      const LibraryProduct product{rows, 72, 136, along_depth};
      const Status prepared = library->Prepare(product);
      const std::string name = Cat(rows, " rows, ", along_depth ? "along the depth" : "across");
      report.Add("library", name, CheckPrepared(prepared, library->Has(product), rows, expected));
      if (!library->Has(product)) continue;
      for (const bool accumulate : {false, true}) {
        report.Add("library", Cat(name, accumulate ? ", computed on top" : ", computed"), Compare(*library, product, accumulate, stream));
      }
    }
  }
  (void)cudaStreamDestroy(stream);
  for (const LibraryProduct& other : {LibraryProduct{40, 16, 136, true}, {40, 72, 16, true}, {40, 70, 136, true}}) {
    const bool left_alone = library->Prepare(other).ok() && !library->Has(other);
    report.Add("library", Cat(other.columns, " columns of depth ", other.depth, " are lema's own"), left_alone ? "" : "taken");
  }
  return report.Finish();
}

}  // namespace
}  // namespace lema::test

// cuda_library [own | refused-at-40]: what is expected of the library, where it does not serve everything.
int main(int argc, char** argv) {
  using lema::test::Expected;
  const std::string_view expected = argc > 1 ? argv[1] : "";
  return lema::test::Main(expected == "own" ? Expected::kOwn : expected == "refused-at-40" ? Expected::kRefusedAtForty : Expected::kServed);
}
