// Matrix products by cuBLASLt: those whose factors are bf16 and whose result is f32 (on top of a result of bf16 it rounds
// twice), wide and deep.
//
// No bit may depend on the batch, so that the algorithm is chosen for columns, depth and layout alone, among those that add
// each sum up in one piece, and serves any number of rows, kMostRows of them at a time. That its sums do not depend on the
// rows then is not documented, so each choice proves it on data before it is taken, at several numbers of rows and at
// another row of the factor; what fails is computed by lema's own kernels, whatever its rows. All of it happens at load.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>

#include "core/tensor.h"
#include "cuda/cublas_lt.h"
#include "cuda/launch.h"

namespace lema::cuda {

// result[m, n] = Σ_k left[m, k] · right(n, k), each matrix dense: right is [columns, depth], or [depth, columns].
struct LibraryProduct {
  int64_t rows, columns, depth;
  bool right_along_depth;
};

constexpr bool SuitsLibrary(DType left, DType right, DType result) {
  return left == DType::kBF16 && right == DType::kBF16 && result == DType::kF32;
}

class LibraryProducts {
 public:
  // Null where the machine has no library, or the device no tensor cores for it.
  static std::unique_ptr<LibraryProducts> Find(int capability);
  // What Find would find, with its version; empty: nothing.
  static std::string NameFor(int capability);
  ~LibraryProducts();
  LibraryProducts(const LibraryProducts&) = delete;
  LibraryProducts& operator=(const LibraryProducts&) = delete;

  // Must come before the first Multiply of such a product; needs device memory for its proof, and gives it back. Fails where
  // these rows alone do not have the sums of others.
  Status Prepare(const LibraryProduct& product);
  // Whether a product that was prepared is the library's; one that is not is computed by another kernel.
  bool Has(const LibraryProduct& product) const { return products_.contains(KeyOf(product)); }
  // result = alpha · product (+ result). Has(product); every address on kAlignment bytes.
  Status Multiply(const LibraryProduct& product, const void* left, const void* right, void* result, float alpha, bool accumulate,
                  cudaStream_t stream) const;

  static constexpr uintptr_t kAlignment = 16;
  // As many rows as a large step has, for which an algorithm is chosen; of more, each so many are a call of their own.
  static constexpr int64_t kMostRows = 4096;

 private:
  // What does not depend on the rows.
  struct Shape {
    bool usable = false;
    CublasLt::Description description = nullptr;
    CublasLt::Layout right = nullptr;
    CublasLt::Algorithm algorithm{};
  };
  using ShapeKey = std::tuple<int64_t, int64_t, bool>;
  using Key = std::tuple<int64_t, int64_t, bool, int64_t>;

  // Of one number of rows.
  struct Layouts {
    CublasLt::Layout left = nullptr, result = nullptr;
  };
  // kMostRows at a time, and what is left.
  struct Pieces {
    const Shape* shape;
    Layouts most, rest;
  };

  explicit LibraryProducts(const CublasLt& lt) : lt_(lt) {}
  static Key KeyOf(const LibraryProduct& p) { return {p.columns, p.depth, p.right_along_depth, p.rows}; }
  Status Choose(const LibraryProduct& product, Shape* shape);
  Status Prove(const LibraryProduct& product, const Shape& shape, std::span<const int64_t> rows, bool* steady) const;
  Status Open(const LibraryProduct& product, int64_t rows, Layouts* layouts) const;
  void Close(const Layouts& layouts) const;
  Status Run(const Shape& shape, const Layouts& layouts, const void* left, const void* right, void* result, float alpha, bool accumulate,
             cudaStream_t stream) const;

  const CublasLt& lt_;
  CublasLt::Handle handle_ = nullptr;
  std::map<ShapeKey, Shape> shapes_;
  std::map<Key, Pieces> products_;
};

// What the launcher of a PreparedProduct says at load.
inline Status PrepareProduct(const DevicePreparation& preparation, const LibraryProduct& product, bool suits_library) {
  return suits_library && preparation.library != nullptr ? preparation.library->Prepare(product) : Status::Ok();
}

}  // namespace lema::cuda
