// Matrix products by cuBLASLt: those of bf16 whose factors both lie in bf16, and whose result is f32, wide and deep. On top
// of a result of bf16 it rounds twice.
//
// No bit may depend on the batch, so that the algorithm is chosen for columns, depth, layout and result alone, among those
// that add each sum up in one piece, and serves any number of rows. That its sums do not depend on the rows then is not
// documented, so each choice proves it on data before it is taken, at several numbers of rows and at another row of the
// factor; what fails is computed by lema's own kernels, whatever its rows. All of it happens at load.
#pragma once

#include <map>
#include <memory>
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
  DType result;
};

class LibraryProducts {
 public:
  // Null where the machine has no library, or the device no tensor cores for it.
  static std::unique_ptr<LibraryProducts> Find(int capability);
  // What Find would find, with its version; empty: nothing.
  static std::string NameFor(int capability);
  ~LibraryProducts();
  LibraryProducts(const LibraryProducts&) = delete;
  LibraryProducts& operator=(const LibraryProducts&) = delete;

  // Must come before the first Multiply of such a product; needs device memory for its proof, and gives it back.
  Status Prepare(const LibraryProduct& product);
  // Whether a product that was prepared is the library's; one that is not is computed by another kernel.
  bool Has(const LibraryProduct& product) const { return products_.contains(KeyOf(product)); }
  // result = alpha · product (+ result). Has(product); every address on kAlignment bytes.
  Status Multiply(const LibraryProduct& product, const void* left, const void* right, void* result, float alpha, bool accumulate,
                  cudaStream_t stream) const;

  static constexpr uintptr_t kAlignment = 16;

 private:
  // What does not depend on the rows.
  struct Shape {
    bool usable = false;
    CublasLt::Description description = nullptr;
    CublasLt::Layout right = nullptr;
    CublasLt::Algorithm algorithm{};
  };
  using ShapeKey = std::tuple<int64_t, int64_t, bool, DType>;
  using Key = std::tuple<int64_t, int64_t, bool, DType, int64_t>;

  // Of one number of rows.
  struct Rows {
    const Shape* shape;
    CublasLt::Layout left, result;
  };

  explicit LibraryProducts(const CublasLt& lt) : lt_(lt) {}
  static Key KeyOf(const LibraryProduct& p) { return {p.columns, p.depth, p.right_along_depth, p.result, p.rows}; }
  Status Choose(const LibraryProduct& product, Shape* shape);
  Status Prove(const LibraryProduct& product, const Shape& shape, bool* steady);
  Status Open(const LibraryProduct& product, const Shape& shape, Rows* rows) const;
  void Close(const Rows& rows) const;
  Status Run(const Rows& rows, const void* left, const void* right, void* result, float alpha, bool accumulate, cudaStream_t stream) const;

  const CublasLt& lt_;
  CublasLt::Handle handle_ = nullptr;
  std::map<ShapeKey, Shape> shapes_;
  std::map<Key, Rows> products_;
};

// What a launcher of products says at load; `left` and `right` are the factors' own dtypes.
inline Status PrepareProduct(const DevicePreparation& preparation, const LibraryProduct& product, DType left, DType right) {
  const bool suits = preparation.library != nullptr && left == DType::kBF16 && right == DType::kBF16;
  return suits ? preparation.library->Prepare(product) : Status::Ok();
}

}  // namespace lema::cuda
