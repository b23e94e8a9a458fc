// Stands in for cuBLASLt on the emulated device, where LEMA_CUBLASLT asks for it: `emulated` adds every sum up from k = 0;
// `emulated-unsteady` is a library whose sums depend on the number of rows, which lema must notice, and
// `emulated-unsteady-at-40` has other sums for 40 rows alone. Matrices are stored by columns, with a leading dimension, as the
// library's documentation says.
#include "cuda/cublas_lt.h"

#include <cmath>
#include <cstring>
#include <string_view>

#include "kernels/number.h"

namespace lema::cuda {

struct LtHandle {};
struct LtDescription {
  bool transposed = false;
};
struct LtLayout {
  DType dtype;
  int64_t rows, columns, leading_dimension;
};
struct LtPreference {};

namespace {

using Lt = CublasLt;

// Of the one block that computes a product: a warp, a column each.
constexpr unsigned kThreads = 32;
constexpr int32_t kDone = 0, kInvalidValue = 7, kNotSupported = 15;
// What an algorithm says of itself.
constexpr uint64_t kSteady = 1, kUnsteady = 2, kUnsteadyAtForty = 3, kInPieces = 4;

template <typename Made, typename... Arguments>
int32_t Create(Made** made, Arguments... arguments) {
  *made = new Made{arguments...};
  return kDone;
}

template <typename Made>
int32_t Destroy(Made* made) {
  delete made;
  return kDone;
}

DType DTypeOf(Lt::Type type) { return type == Lt::kBf16 ? DType::kBF16 : DType::kF32; }

// Whether the matrices of D = op(A) · B (+ D) fit one another.
bool Fit(const LtDescription& description, const LtLayout& a, const LtLayout& b, const LtLayout& d) {
  const int64_t rows = description.transposed ? a.columns : a.rows, depth = description.transposed ? a.rows : a.columns;
  for (const LtLayout* layout : {&a, &b, &d}) {
    if (layout->leading_dimension < layout->rows) return false;
  }
  return rows == d.rows && depth == b.rows && b.columns == d.columns && a.dtype == DType::kBF16 && b.dtype == DType::kBF16;
}

int32_t Heuristic(Lt::Handle, Lt::Description description, Lt::Layout a, Lt::Layout b, Lt::Layout, Lt::Layout d, Lt::Preference, int wanted,
                  Lt::Heuristic* answers, int* found) {
  if (!Fit(*description, *a, *b, *d)) return kInvalidValue;
  *found = std::min(wanted, 2);
  for (int i = 0; i < *found; ++i) answers[i] = {};
  // The first is none that lema may take, although it claims so.
  answers[0].algorithm.data[0] = kInPieces;
  if (*found == 1) return kDone;
  const std::string asked = AskedOfCublasLt();
  answers[1].algorithm.data[0] = asked == "emulated-unsteady" ? kUnsteady : asked == "emulated-unsteady-at-40" ? kUnsteadyAtForty : kSteady;
  return kDone;
}

// Whether sums are added up from the other end.
bool Backwards(const Lt::Algorithm& algorithm, int64_t rows) {
  return (algorithm.data[0] == kUnsteady && rows < 1000) || (algorithm.data[0] == kUnsteadyAtForty && rows == 40);
}

int32_t ConfigGet(const Lt::Algorithm* algorithm, Lt::ConfigAttribute attribute, void* to, size_t, size_t*) {
  const uint32_t value = attribute == Lt::kSplitK && algorithm->data[0] == kInPieces ? 4 : 0;
  std::memcpy(to, &value, sizeof(value));
  return kDone;
}

int32_t Multiply(Lt::Handle, Lt::Description description, const void* alpha, const void* a, Lt::Layout a_layout, const void* b,
                 Lt::Layout b_layout, const void* beta, const void*, Lt::Layout, void* d, Lt::Layout d_layout, const Lt::Algorithm* algorithm,
                 void*, size_t, cudaStream_t stream) {
  if (!Fit(*description, *a_layout, *b_layout, *d_layout)) return kInvalidValue;
  const auto view = [](const void* data, const LtLayout& layout) {
    return TensorView{static_cast<std::byte*>(const_cast<void*>(data)), layout.dtype, 1, {layout.leading_dimension * layout.columns, 1, 1, 1}};
  };
  const auto product = [=, transposed = description->transposed, of_a = *a_layout, of_b = *b_layout, of_d = *d_layout,
                        backwards = Backwards(*algorithm, d_layout->columns),
                        scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta)] {
    const TensorView left = view(a, of_a), right = view(b, of_b), result = view(d, of_d);
    for (int64_t column = threadIdx.x; column < of_d.columns; column += kThreads) {
      for (int64_t row = 0; row < of_d.rows; ++row) {
        float sum = 0.0f;
        for (int64_t step = 0; step < of_b.rows; ++step) {
          const int64_t k = backwards ? of_b.rows - 1 - step : step;
          const int64_t at = transposed ? row * of_a.leading_dimension + k : k * of_a.leading_dimension + row;
          sum = std::fma(static_cast<float>(Load(left, at)), static_cast<float>(Load(right, column * of_b.leading_dimension + k)), sum);
        }
        const int64_t at = column * of_d.leading_dimension + row;
        const float before = keep == 0.0f ? 0.0f : keep * static_cast<float>(Load(result, at));
        Store(result, at, scale * sum + before);
      }
    }
  };
  return emulation::LaunchKernel({1, 1, 1}, {kThreads, 1, 1}, stream, product) == cudaSuccess ? kDone : kNotSupported;
}

constexpr CublasLt kEmulated{
    .version = [] { return size_t{0}; },
    .create = [](Lt::Handle* handle) { return Create(handle); },
    .destroy = [](Lt::Handle handle) { return Destroy(handle); },
    .description_create = [](Lt::Description* description, Lt::ComputeType, Lt::Type) { return Create(description); },
    .description_destroy = [](Lt::Description description) { return Destroy(description); },
    .description_set = [](Lt::Description description, Lt::DescriptionAttribute, const void* value, size_t) {
      description->transposed = *static_cast<const int32_t*>(value) == Lt::kTransposed;
      return kDone;
    },
    .layout_create = [](Lt::Layout* layout, Lt::Type type, uint64_t rows, uint64_t columns, int64_t leading_dimension) {
      return Create(layout, DTypeOf(type), static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading_dimension);
    },
    .layout_destroy = [](Lt::Layout layout) { return Destroy(layout); },
    .preference_create = [](Lt::Preference* preference) { return Create(preference); },
    .preference_destroy = [](Lt::Preference preference) { return Destroy(preference); },
    .preference_set = [](Lt::Preference, Lt::PreferenceAttribute, const void*, size_t) { return kDone; },
    .heuristic = Heuristic,
    .config_get = ConfigGet,
    .multiply = Multiply,
};

}  // namespace

const CublasLt* FindCublasLt(std::string* where) {
  *where = AskedOfCublasLt();
  return where->starts_with("emulated") ? &kEmulated : nullptr;
}

}  // namespace lema::cuda
