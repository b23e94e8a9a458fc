// The kernels of matrix products on tensor cores one by one, those that the device has: each against sums in double, at odd
// sizes and with factors that can and cannot be copied, and all of one sort with the same bits. Prints a line a case, or
// with `--paths` which kernel is taken for which product, or with `--library` who gets the matrix library's.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/text.h"
#include "cuda/attention_path.h"
#include "cuda/product.h"
#include "cuda_products.h"
#include "cuda_products_f16.h"
#include "device_elements.h"
#include "kernels/number.h"
#include "op_report.h"

namespace lema::test {
namespace {

using cuda::Along, cuda::LargeTensorTile, cuda::LaunchTensorProduct, cuda::MediumTensorTile,
    cuda::NarrowTensorTile, cuda::Prepared, cuda::ProductPathOf, cuda::ProductShape, cuda::ScaledResult;

// As bf16, which every product here is computed in.
double Rounded(TensorView view, int64_t i) { return RoundTo(DType::kBF16, Load(view, i)); }

// result += Σ over the batches, as every kernel computes it; empty, or what went wrong.
template <typename Tile, Along kLeft, Along kRight>
std::string Run(const Sizes& sizes, DType right_dtype, int64_t past, std::vector<float>* result) {
  DeviceElements left(1, DType::kBF16, sizes.rows * sizes.depth * sizes.batches, past);
  DeviceElements right(2, right_dtype, sizes.columns * sizes.depth * sizes.batches, past);
  DeviceElements to(3, DType::kF32, sizes.rows * sizes.columns, 0);
  if (!left.ok() || !right.ok() || !to.ok()) return "no memory";
  std::vector<double> before(static_cast<size_t>(sizes.rows * sizes.columns));
  for (size_t at = 0; at < before.size(); ++at) before[at] = Load(to.View(), static_cast<int64_t>(at));
  const auto factor = [&](const DeviceElements& of, Along along, int64_t outers) {
    return Prepared({ElementsOf(of), along == Along::kDepth ? sizes.depth : outers, outers * sizes.depth}, along, DType::kBF16);
  };
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamDefault) != cudaSuccess) return "a stream";
  const ProductShape shape{sizes.rows, sizes.columns, sizes.depth, sizes.batches, DType::kBF16};
  const Status launched = LaunchTensorProduct<Tile, kLeft, kRight>(factor(left, kLeft, sizes.rows), factor(right, kRight, sizes.columns), shape,
                                                           ScaledResult{ElementsOf(to), sizes.columns, 0.5f, true}, {stream, nullptr, 0, nullptr, 0});
  if (!launched.ok()) return launched.message();
  if (const cudaError_t error = cudaStreamSynchronize(stream); error != cudaSuccess) return cudaGetErrorString(error);
  (void)cudaStreamDestroy(stream);
  result->resize(before.size());
  if (!to.Fetch()) return "a copy";
  for (size_t at = 0; at < before.size(); ++at) (*result)[at] = static_cast<float>(Load(to.View(), static_cast<int64_t>(at)));
  for (int64_t i = 0; i < sizes.rows; ++i) {
    for (int64_t j = 0; j < sizes.columns; ++j) {
      double sum = 0;
      for (int64_t b = 0; b < sizes.batches; ++b) {
        for (int64_t k = 0; k < sizes.depth; ++k) {
          sum += Rounded(left.View(), At(sizes, kLeft, sizes.rows, b, i, k)) * Rounded(right.View(), At(sizes, kRight, sizes.columns, b, j, k));
        }
      }
      const size_t at = static_cast<size_t>(i * sizes.columns + j);
      const double expected = before[at] + 0.5 * sum, scale = 1.0 + 0.5 * static_cast<double>(sizes.depth * sizes.batches);
      if (!(std::fabs((*result)[at] - expected) <= 1e-6 * scale)) return Cat("[", i, ", ", j, "] is ", (*result)[at], ", not ", expected);
    }
  }
  return "";
}

template <Along kLeft, Along kRight>
void TestSizes(const Sizes& sizes, Report& report) {
  std::vector<float> first, other;
  const std::string name = NameOf(sizes, kLeft, kRight);
  const auto add = [&](const char* tile, std::string problem) {
    if (problem.empty() && std::memcmp(first.data(), other.data(), first.size() * sizeof(float)) != 0) problem = "other bits";
    report.Add("product", Cat(tile, " ", name), problem);
  };
  report.Add("product", Cat("32x32 ", name), Run<NarrowTensorTile, kLeft, kRight>(sizes, DType::kBF16, 0, &first));
  add("32x32, misaligned,", Run<NarrowTensorTile, kLeft, kRight>(sizes, DType::kBF16, 1, &other));
  add("64x64", Run<MediumTensorTile, kLeft, kRight>(sizes, DType::kBF16, 0, &other));
  const bool copied = sizes.depth % 8 == 0 && sizes.rows % 8 == 0 && sizes.columns % 8 == 0;
  if (copied) add("128x128", Run<LargeTensorTile, kLeft, kRight>(sizes, DType::kBF16, 0, &other));
  // Another right factor: the one of f32 rounds to other values.
  report.Add("product", Cat("32x32, f32, ", name), Run<NarrowTensorTile, kLeft, kRight>(sizes, DType::kF32, 0, &first));
  add("64x64, f32,", Run<MediumTensorTile, kLeft, kRight>(sizes, DType::kF32, 1, &other));
}

// Of a product that suits the matrix library, what the op that has prepared it gets, and what another op does.
void TestLibrary(Report& report) {
  const auto library = cuda::LibraryProducts::Find(90);
  if (library == nullptr) return report.Add("library", "found", "not found");
  constexpr ProductShape kShape{40, 72, 136, 1, DType::kBF16};
  DeviceElements left(1, DType::kBF16, kShape.rows * kShape.depth), right(2, DType::kBF16, kShape.columns * kShape.depth);
  if (!left.ok() || !right.ok()) return report.Add("library", "prepared", "no memory");
  if (const Status status = library->Prepare({kShape.rows, kShape.columns, kShape.depth, true}); !status.ok()) {
    return report.Add("library", "prepared", status.message());
  }
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamDefault) != cudaSuccess) return report.Add("library", "a stream", "refused");
  const cuda::Factor l{ElementsOf(left), kShape.depth}, r{ElementsOf(right), kShape.depth};
  const auto bits = [&](bool prepared, const cuda::LibraryProducts* given) {
    DeviceElements to(3, DType::kF32, kShape.rows * kShape.columns);
    const ScaledResult result{ElementsOf(to), kShape.columns, 1.0f, false};
    const cuda::LaunchContext context{stream, nullptr, 0, nullptr, 90, given};
    const Status status = prepared ? cuda::PreparedProduct<Along::kDepth>(l, r, kShape, result, context)
                                   : cuda::Product<Along::kDepth, Along::kDepth>(l, r, kShape, result, context);
    if (!status.ok() || cudaStreamSynchronize(stream) != cudaSuccess || !to.Fetch()) return std::string("failed");
    return std::string(reinterpret_cast<const char*>(to.View().data), static_cast<size_t>(kShape.rows * kShape.columns) * sizeof(float));
  };
  const std::string own = bits(true, nullptr);
  report.Add("library", "an op that has prepared it gets the library's", bits(true, library.get()) == own ? "lema's own" : "");
  report.Add("library", "another gets lema's own, whatever is prepared", bits(false, library.get()) == own ? "" : "the library's");
  (void)cudaStreamDestroy(stream);
}

void PrintPaths() {
  constexpr struct {
    const char* what;
    int64_t rows, columns, depth;
  } kProducts[] = {
      {"q_proj of 4096 tokens", 4096, 4096, 4096}, {"gate_proj of 512 tokens", 512, 11008, 4096}, {"k_proj of 512 tokens", 512, 1024, 4096},
      {"lora_A of 4096 tokens", 4096, 16, 4096},   {"lora_B of 4096 tokens", 4096, 4096, 16},     {"gradient of lora_A", 16, 4096, 512},
      {"q_proj of one token", 1, 4096, 4096},      {"head tile of 512 tokens", 512, 2048, 4096},
  };
  for (const auto& product : kProducts) {
    for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const bool copied : {true, false}) {
        for (const int capability : {60, 75, 80, 90}) {
          std::printf("%s, %s, %s, sm_%d: %s\n", product.what, NameOf(compute), copied ? "copied" : "converted",
                      capability, cuda::NameOf(ProductPathOf(product.rows, product.columns, product.depth, copied, compute, capability)));
        }
      }
    }
  }
}

// Of attention: by head, by what it writes, by device.
void PrintAttentionPaths() {
  for (const int64_t size : {32, 64, 80, 128, 256}) {
    for (const DType precision : {DType::kF32, DType::kBF16}) {
      for (const int capability : {60, 75, 80, 90}) {
        std::printf("attention of heads of %d, %s, sm_%d: %s\n", static_cast<int>(size), precision == DType::kF32 ? "f32" : "bf16",
                    capability, NameOf(cuda::AttentionPathOf(size, precision == DType::kBF16, capability)));
      }
    }
  }
}

// Whether the kernels of tensor cores in a dtype are in this object for such a device: of the emulated one all are.
bool HasKernels(DType compute, int capability) {
#if defined(LEMA_CUDA_EMULATED)
  return (void)compute, capability > 0;
#else
  return compute == DType::kF16 ? cuda::MultipliesF16(cuda::kShallow + 1, compute, capability) : capability >= cuda::kTensorCoreCapability;
#endif
}

}  // namespace
}  // namespace lema::test

// cuda_products [--paths | --library]
int main(int argc, char** argv) {
  using namespace lema::test;
  using lema::cuda::Along;
  if (argc > 1 && std::strcmp(argv[1], "--paths") == 0) {
    PrintPaths();
    PrintAttentionPaths();
    return 0;
  }
  Report report;
  if (argc > 1 && std::strcmp(argv[1], "--library") == 0) {
    TestLibrary(report);
    return report.Finish();
  }
  int capability = 0;
  if (const lema::Status status = lema::cuda::FindCapability(&capability); !status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return 1;
  }
  const bool bf16 = HasKernels(lema::DType::kBF16, capability), f16 = HasKernels(lema::DType::kF16, capability);
  constexpr Sizes kSizes[] = {{1, 1, 1, 1}, {33, 65, 17, 1}, {40, 72, 136, 1}, {136, 264, 200, 1}, {130, 131, 70, 1}, {16, 136, 40, 3}};
  for (const Sizes& sizes : kSizes) {
    if (bf16) {
      TestSizes<Along::kDepth, Along::kDepth>(sizes, report);
      TestSizes<Along::kDepth, Along::kOuter>(sizes, report);
      TestSizes<Along::kOuter, Along::kOuter>(sizes, report);
    }
    if (!f16) continue;
    TestF16Sizes<Along::kDepth, Along::kDepth>(sizes, report);
    TestF16Sizes<Along::kDepth, Along::kOuter>(sizes, report);
    TestF16Sizes<Along::kOuter, Along::kOuter>(sizes, report);
  }
  if (f16) TestF16NotFinite(report);
  return report.Finish();
}
