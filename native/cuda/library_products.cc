#include "cuda/library_products.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/capability.h"

namespace lema::cuda {
namespace {

// Fewer columns, or less depth, leave a large tile idle: LoRA's products are lema's own.
constexpr int64_t kNarrow = 32;
// Elements of bf16 in kAlignment bytes.
constexpr int64_t kEights = 8;
// Those that every algorithm is proved with before it is chosen: not a plan's own, or one plan's choice would be another's.
constexpr int64_t kProvedRows[] = {1, 33, 256, 1000};
constexpr int64_t kShift = 7;
constexpr int kWanted = 16;

Status FromLt(int32_t code, const char* what) {
  if (code == 0) return Status::Ok();
  return Status(StatusCode::kKernelError, Cat(what, ": cuBLASLt answered ", code));
}

class DeviceMemory {
 public:
  ~DeviceMemory() {
    if (data_ != nullptr) (void)cudaFree(data_);
  }
  Status Allocate(int64_t bytes) { return FromCuda(cudaMalloc(&data_, static_cast<size_t>(bytes)), "memory to prove cuBLASLt's sums in"); }
  // `count` elements of bf16 in [-1, 1), from a pattern that repeats at no row.
  Status Fill(int64_t count, uint64_t seed) {
    constexpr int64_t kPeriod = 1000003;
    std::vector<uint16_t> pattern(static_cast<size_t>(std::min(count, kPeriod)));
    for (uint16_t& element : pattern) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      // A sign, an exponent of 2⁻¹ to 2⁻⁸, and seven bits of fraction.
      const uint64_t bits = seed >> 40;
      element = static_cast<uint16_t>((bits & 1) << 15 | (119 + (bits >> 1 & 7)) << 7 | (bits >> 4 & 127));
    }
    for (int64_t at = 0; at < count; at += kPeriod) {
      const size_t part = static_cast<size_t>(std::min(kPeriod, count - at)) * sizeof(uint16_t);
      LEMA_CUDA(cudaMemcpy(static_cast<uint16_t*>(data_) + at, pattern.data(), part, cudaMemcpyDefault));
    }
    return Status::Ok();
  }
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  void* data_ = nullptr;
};

struct ProofStream {
  cudaStream_t stream = nullptr;
  ~ProofStream() {
    if (stream != nullptr) (void)cudaStreamDestroy(stream);
  }
};

const CublasLt* LibraryFor(int capability) {
  std::string where;
  return capability >= kTensorCoreCapability ? FindCublasLt(&where) : nullptr;
}

}  // namespace

std::unique_ptr<LibraryProducts> LibraryProducts::Find(int capability) {
  const CublasLt* const lt = LibraryFor(capability);
  if (lt == nullptr) return nullptr;
  std::unique_ptr<LibraryProducts> made(new LibraryProducts(*lt));
  return lt->create(&made->handle_) == 0 ? std::move(made) : nullptr;
}

std::string LibraryProducts::NameFor(int capability) {
  const CublasLt* const lt = LibraryFor(capability);
  if (lt == nullptr) return "";
  const size_t version = lt->version();
  return Cat("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

LibraryProducts::~LibraryProducts() {
  for (const auto& [key, pieces] : products_) {
    Close(pieces.most);
    Close(pieces.rest);
  }
  for (const auto& [key, shape] : shapes_) {
    if (shape.right != nullptr) (void)lt_.layout_destroy(shape.right);
    if (shape.description != nullptr) (void)lt_.description_destroy(shape.description);
  }
  if (handle_ != nullptr) (void)lt_.destroy(handle_);
}

Status LibraryProducts::Prepare(const LibraryProduct& p) {
  const bool suits = p.columns > kNarrow && p.depth > kNarrow && p.columns % kEights == 0 && p.depth % kEights == 0;
  if (!suits || Has(p)) return Status::Ok();
  const auto [at, fresh] = shapes_.try_emplace({p.columns, p.depth, p.right_along_depth});
  const Shape& shape = at->second;
  if (fresh) LEMA_RETURN_IF_ERROR(Choose(p, &at->second));
  if (!shape.usable) return Status::Ok();
  const int64_t rest = p.rows % kMostRows;
  bool steady = true;
  if (rest > 0) LEMA_RETURN_IF_ERROR(Prove(p, shape, {&rest, 1}, &steady));
  // Other numbers of rows have the library's bits already, so that these cannot be lema's own.
  if (!steady) {
    return Status(StatusCode::kKernelError, Cat("cuBLASLt does not give ", rest, " rows by ", p.columns, " columns the sums of other rows; "
                                                "LEMA_CUBLASLT=off computes without it"));
  }
  Pieces& pieces = products_[KeyOf(p)];
  pieces.shape = &shape;
  if (p.rows >= kMostRows) LEMA_RETURN_IF_ERROR(Open(p, kMostRows, &pieces.most));
  return rest > 0 ? Open(p, rest, &pieces.rest) : Status::Ok();
}

Status LibraryProducts::Choose(const LibraryProduct& p, Shape* shape) {
  LEMA_RETURN_IF_ERROR(FromLt(lt_.description_create(&shape->description, CublasLt::kCompute32F, CublasLt::kF32), "a product"));
  // Its matrices are stored by columns, so that ours are transposed there, and the factors change places: resultᵀ =
  // right · leftᵀ, where right is transposed once more unless its columns lie side by side.
  const CublasLt::Operation operation = p.right_along_depth ? CublasLt::kTransposed : CublasLt::kAsItIs;
  LEMA_RETURN_IF_ERROR(FromLt(lt_.description_set(shape->description, CublasLt::kTransA, &operation, sizeof(operation)), "a product"));
  const int64_t inner = p.right_along_depth ? p.depth : p.columns, outer = p.right_along_depth ? p.columns : p.depth;
  LEMA_RETURN_IF_ERROR(FromLt(lt_.layout_create(&shape->right, CublasLt::kBf16, static_cast<uint64_t>(inner), static_cast<uint64_t>(outer), inner), "a factor"));

  Layouts layouts;
  LEMA_RETURN_IF_ERROR(Open(p, kMostRows, &layouts));
  CublasLt::Preference preference = nullptr;
  LEMA_RETURN_IF_ERROR(FromLt(lt_.preference_create(&preference), "a preference"));
  // Each sum in one piece, by one block: no scheme that reduces, and no workspace to reduce in.
  const uint64_t workspace_bytes = 0;
  const uint32_t schemes = 0, alignment = kAlignment;
  (void)lt_.preference_set(preference, CublasLt::kMaxWorkspaceBytes, &workspace_bytes, sizeof(workspace_bytes));
  (void)lt_.preference_set(preference, CublasLt::kReductionSchemes, &schemes, sizeof(schemes));
  for (const auto which : {CublasLt::kAlignmentA, CublasLt::kAlignmentB, CublasLt::kAlignmentC, CublasLt::kAlignmentD}) {
    (void)lt_.preference_set(preference, which, &alignment, sizeof(alignment));
  }
  std::vector<CublasLt::Heuristic> answers(kWanted);
  int found = 0;
  const int32_t answer = lt_.heuristic(handle_, shape->description, shape->right, layouts.left, layouts.result, layouts.result, preference,
                                       kWanted, answers.data(), &found);
  (void)lt_.preference_destroy(preference);
  Close(layouts);
  if (answer != 0) return Status::Ok();
  for (int i = 0; i < found; ++i) {
    uint32_t pieces = 0, scheme = 0;
    (void)lt_.config_get(&answers[i].algorithm, CublasLt::kSplitK, &pieces, sizeof(pieces), nullptr);
    (void)lt_.config_get(&answers[i].algorithm, CublasLt::kReductionScheme, &scheme, sizeof(scheme), nullptr);
    if (answers[i].status != 0 || pieces > 1 || scheme != 0 || answers[i].workspace_bytes > 0) continue;
    shape->algorithm = answers[i].algorithm;
    LEMA_RETURN_IF_ERROR(Prove(p, *shape, kProvedRows, &shape->usable));
    if (shape->usable) break;
  }
  return Status::Ok();
}

// Rows of the same factor, fewer of them and from another row on, against those of kMostRows.
Status LibraryProducts::Prove(const LibraryProduct& p, const Shape& shape, std::span<const int64_t> rows, bool* steady) const {
  *steady = false;
  const int64_t result_row = p.columns * static_cast<int64_t>(sizeof(float)), left_row = p.depth * static_cast<int64_t>(sizeof(uint16_t));
  DeviceMemory left, right, whole, part;
  LEMA_RETURN_IF_ERROR(left.Allocate(kMostRows * left_row));
  LEMA_RETURN_IF_ERROR(right.Allocate(p.columns * left_row));
  LEMA_RETURN_IF_ERROR(whole.Allocate(kMostRows * result_row));
  LEMA_RETURN_IF_ERROR(part.Allocate(std::ranges::max(rows) * result_row));
  LEMA_RETURN_IF_ERROR(left.Fill(kMostRows * p.depth, 1));
  LEMA_RETURN_IF_ERROR(right.Fill(p.columns * p.depth, 2));
  ProofStream stream;
  LEMA_CUDA(cudaStreamCreateWithFlags(&stream.stream, cudaStreamNonBlocking));
  const auto run = [&](int64_t count, int64_t from, std::byte* result) -> Status {
    Layouts layouts;
    LEMA_RETURN_IF_ERROR(Open(p, count, &layouts));
    Status status = Run(shape, layouts, left.data() + from * left_row, right.data(), result, 1.0f, false, stream.stream);
    if (status.ok()) status = FromCuda(cudaStreamSynchronize(stream.stream), "a product of cuBLASLt");
    Close(layouts);
    return status;
  };
  if (const Status status = run(kMostRows, 0, whole.data()); !status.ok()) return Status::Ok();
  std::vector<std::byte> expected, given;
  for (const int64_t count : rows) {
    for (const int64_t from : {int64_t{0}, std::min(kShift, kMostRows - count)}) {
      if (const Status status = run(count, from, part.data()); !status.ok()) return Status::Ok();
      const size_t bytes = static_cast<size_t>(count * result_row);
      expected.resize(bytes);
      given.resize(bytes);
      LEMA_CUDA(cudaMemcpy(expected.data(), whole.data() + from * result_row, bytes, cudaMemcpyDefault));
      LEMA_CUDA(cudaMemcpy(given.data(), part.data(), bytes, cudaMemcpyDefault));
      if (std::memcmp(expected.data(), given.data(), bytes) != 0) return Status::Ok();
    }
  }
  *steady = true;
  return Status::Ok();
}

Status LibraryProducts::Open(const LibraryProduct& p, int64_t rows, Layouts* layouts) const {
  const auto count = static_cast<uint64_t>(rows);
  LEMA_RETURN_IF_ERROR(FromLt(lt_.layout_create(&layouts->left, CublasLt::kBf16, static_cast<uint64_t>(p.depth), count, p.depth), "a factor"));
  return FromLt(lt_.layout_create(&layouts->result, CublasLt::kF32, static_cast<uint64_t>(p.columns), count, p.columns), "a result");
}

void LibraryProducts::Close(const Layouts& layouts) const {
  if (layouts.left != nullptr) (void)lt_.layout_destroy(layouts.left);
  if (layouts.result != nullptr) (void)lt_.layout_destroy(layouts.result);
}

Status LibraryProducts::Run(const Shape& shape, const Layouts& layouts, const void* left, const void* right, void* result, float alpha,
                            bool accumulate, cudaStream_t stream) const {
  const float beta = accumulate ? 1.0f : 0.0f;
  return FromLt(lt_.multiply(handle_, shape.description, &alpha, right, shape.right, left, layouts.left, &beta, result, layouts.result, result,
                             layouts.result, &shape.algorithm, nullptr, 0, stream),
                "a product");
}

Status LibraryProducts::Multiply(const LibraryProduct& p, const void* left, const void* right, void* result, float alpha, bool accumulate,
                                 cudaStream_t stream) const {
  const Pieces& pieces = products_.at(KeyOf(p));
  for (int64_t row = 0; row < p.rows; row += kMostRows) {
    LEMA_RETURN_IF_ERROR(Run(*pieces.shape, p.rows - row < kMostRows ? pieces.rest : pieces.most,
                             static_cast<const uint16_t*>(left) + row * p.depth, right, static_cast<float*>(result) + row * p.columns, alpha,
                             accumulate, stream));
  }
  return Status::Ok();
}

}  // namespace lema::cuda
