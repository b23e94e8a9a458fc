// Products by the matrix library of this machine, against sums in double: both layouts of the right factor, alone and on top
// of what was there. `--expect own`: the library must be found, and refused for its sums.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/text.h"
#include "cuda/library_products.h"
#include "kernels/number.h"
#include "op_case.h"
#include "op_report.h"

namespace lema::test {
namespace {

using cuda::LibraryProduct, cuda::LibraryProducts;

// Elements on the device, filled from a seed.
struct DeviceElements {
  DeviceElements(uint64_t seed, DType of, int64_t count) : dtype(of), host(static_cast<size_t>(count) * SizeOf(of)) {
    for (int64_t i = 0; i < count; ++i) Store(View(), i, Uniform(seed, static_cast<uint64_t>(i)));
    ok = cudaMalloc(&data, host.size()) == cudaSuccess && cudaMemcpy(data, host.data(), host.size(), cudaMemcpyDefault) == cudaSuccess;
  }
  ~DeviceElements() { (void)cudaFree(data); }
  DeviceElements(const DeviceElements&) = delete;
  DeviceElements& operator=(const DeviceElements&) = delete;

  TensorView View() { return {host.data(), dtype, 1, {static_cast<int64_t>(host.size() / SizeOf(dtype)), 1, 1, 1}}; }
  bool Fetch() { return cudaMemcpy(host.data(), data, host.size(), cudaMemcpyDefault) == cudaSuccess; }

  DType dtype;
  std::vector<std::byte> host;
  void* data = nullptr;
  bool ok;
};

// Empty, or what is wrong.
std::string Compare(const LibraryProducts& library, const LibraryProduct& p, bool accumulate, cudaStream_t stream) {
  DeviceElements left(1, DType::kBF16, p.rows * p.depth), right(2, DType::kBF16, p.columns * p.depth), result(3, p.result, p.rows * p.columns);
  if (!left.ok || !right.ok || !result.ok) return "no memory";
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
  if (const Status status = library.Multiply(p, left.data, right.data, result.data, 0.5f, accumulate, stream); !status.ok()) return status.message();
  if (cudaStreamSynchronize(stream) != cudaSuccess || !result.Fetch()) return "the product failed";
  const double allowed = 1e-6 * (1 + 0.5 * std::sqrt(static_cast<double>(p.depth)));
  for (size_t at = 0; at < expected.size(); ++at) {
    const double value = Load(result.View(), static_cast<int64_t>(at));
    if (!(std::fabs(value - expected[at]) <= allowed)) return Cat("element ", at, " is ", value, ", not ", expected[at]);
  }
  return "";
}

int Main(bool expects_own) {
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
  for (const int64_t rows : {1, 40, 200}) {
    for (const bool along_depth : {true, false}) {
      const LibraryProduct product{rows, 72, 136, along_depth, DType::kF32};
      const Status prepared = library->Prepare(product);
      const std::string name = Cat(rows, " rows, ", along_depth ? "along the depth" : "across");
      if (!prepared.ok() || library->Has(product) == expects_own) {
        report.Add("library", name, prepared.ok() ? (expects_own ? "taken" : "refused") : prepared.message());
        continue;
      }
      if (expects_own) {
        report.Add("library", name, "");
        continue;
      }
      for (const bool accumulate : {false, true}) {
        report.Add("library", Cat(name, accumulate ? ", on top" : ""), Compare(*library, product, accumulate, stream));
      }
    }
  }
  (void)cudaStreamDestroy(stream);
  for (const LibraryProduct& other : {LibraryProduct{40, 16, 136, true, DType::kF32},
                                      {40, 72, 16, true, DType::kF32},
                                      {40, 70, 136, true, DType::kF32},
                                      {40, 72, 136, true, DType::kBF16}}) {
    const bool left_alone = library->Prepare(other).ok() && !library->Has(other);
    const char* const of = other.result == DType::kBF16 ? " in bf16" : "";
    report.Add("library", Cat(other.columns, " columns", of, " of depth ", other.depth, " are lema's own"), left_alone ? "" : "taken");
  }
  return report.Finish();
}

}  // namespace
}  // namespace lema::test

// cuda_library [--expect own]
int main(int argc, char** argv) { return lema::test::Main(argc > 2 && std::strcmp(argv[2], "own") == 0); }
