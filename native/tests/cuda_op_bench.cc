// Times of the device's kernels at the shapes of Llama-2 7B (4,096 tokens in sequences of 512), by events: a line of
// JSON a case with the median, the rate of multiply-adds and the bytes moved a second, beside a copy of the same memory.
// What has kernels with and without tensor cores is timed by both; products in fp16 with the search for their exponents,
// on a newer device by the object for compute_75 under CUDA_FORCE_PTX_JIT.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cuda/capability.h"
#include "cuda/launch.h"
#include "cuda/library_products.h"
#include "core/text.h"
#include "generated/cuda_ops.h"
#include "kernels/number.h"

namespace lema::test {
namespace {

using cuda::FromCuda;

constexpr int64_t kBatch = 8, kLength = 512, kHidden = 4096, kInner = 11008, kHeads = 32, kHead = 128, kRank = 16;

struct BenchCase {
  std::string name;
  Op op;
  std::vector<std::pair<DType, std::vector<int64_t>>> operands;
  std::vector<double> attributes;
  double flops;
};

std::vector<BenchCase> Cases() {
  const DType f32 = DType::kF32, bf16 = DType::kBF16, i32 = DType::kI32;
  const double tokens = kBatch * kLength;
  const auto rows = [](int64_t width) { return std::vector<int64_t>{kBatch, kLength, width}; };
  const std::vector<int64_t> heads{kBatch, kLength, kHeads, kHead}, all{kBatch * kLength * kHidden};
  std::vector<BenchCase> cases{
      {"linear bf16 4096x4096", Op::kLinear, {{bf16, rows(kHidden)}, {bf16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512},
       2 * tokens * kHidden * kHidden},
      {"linear bf16 4096x11008", Op::kLinear, {{bf16, rows(kHidden)}, {bf16, {kInner, kHidden}}, {f32, rows(kInner)}}, {1, 512, 512},
       2 * tokens * kHidden * kInner},
      {"linear f32 with f16 weights 4096x4096", Op::kLinear,
       {{f32, rows(kHidden)}, {DType::kF16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512}, 2 * tokens * kHidden * kHidden},
      {"linear bf16 to rank 16", Op::kLinear, {{bf16, rows(kHidden)}, {f32, {kRank, kHidden}}, {bf16, rows(kRank)}}, {1, 512, 512},
       2 * tokens * kHidden * kRank},
      {"linear_grad_input bf16 4096x4096", Op::kLinearGradInput,
       {{bf16, rows(kHidden)}, {bf16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512}, 2 * tokens * kHidden * kHidden},
      {"linear_grad_weight rank 16", Op::kLinearGradWeight, {{bf16, rows(kRank)}, {bf16, rows(kHidden)}, {f32, {kRank, kHidden}}},
       {1, 512, 512}, 2 * tokens * kHidden * kRank},
      {"linear bf16 from rank 16", Op::kLinear, {{bf16, rows(kRank)}, {f32, {kHidden, kRank}}, {f32, rows(kHidden)}}, {1, 512, 512},
       2 * tokens * kHidden * kRank},
      {"linear bf16 of one token", Op::kLinear, {{bf16, {1, 1, kHidden}}, {bf16, {kHidden, kHidden}}, {f32, {1, 1, kHidden}}}, {1, 512, 512},
       2 * kHidden * kHidden},
      {"linear bf16 with f16 weights 4096x4096", Op::kLinear,
       {{bf16, rows(kHidden)}, {DType::kF16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512}, 2 * tokens * kHidden * kHidden},
      {"linear fp16 4096x4096", Op::kLinear,
       {{f32, rows(kHidden)}, {DType::kF16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512, 1}, 2 * tokens * kHidden * kHidden},
      {"linear fp16 4096x11008", Op::kLinear,
       {{f32, rows(kHidden)}, {DType::kF16, {kInner, kHidden}}, {f32, rows(kInner)}}, {1, 512, 512, 1}, 2 * tokens * kHidden * kInner},
      {"linear fp16 with bf16 weights 4096x4096", Op::kLinear,
       {{f32, rows(kHidden)}, {bf16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512, 1}, 2 * tokens * kHidden * kHidden},
      {"linear fp16 to rank 16", Op::kLinear, {{f32, rows(kHidden)}, {f32, {kRank, kHidden}}, {f32, rows(kRank)}}, {1, 512, 512, 1},
       2 * tokens * kHidden * kRank},
      {"linear_grad_input fp16 4096x4096", Op::kLinearGradInput,
       {{f32, rows(kHidden)}, {DType::kF16, {kHidden, kHidden}}, {f32, rows(kHidden)}}, {1, 512, 512, 1}, 2 * tokens * kHidden * kHidden},
      {"linear_grad_weight fp16 rank 16", Op::kLinearGradWeight, {{f32, rows(kRank)}, {f32, rows(kHidden)}, {f32, {kRank, kHidden}}},
       {1, 512, 512, 1}, 2 * tokens * kHidden * kRank},
      {"rms_norm", Op::kRmsNorm, {{f32, rows(kHidden)}, {bf16, {kHidden}}, {bf16, rows(kHidden)}}, {1e-5}, 0},
      {"rms_norm_backward", Op::kRmsNormBackward, {{bf16, rows(kHidden)}, {f32, rows(kHidden)}, {bf16, {kHidden}}, {f32, rows(kHidden)}},
       {1e-5}, 0},
      {"rope", Op::kRope, {{f32, heads}, {f32, rows(kHead / 2)}, {f32, rows(kHead / 2)}, {bf16, heads}}, {1}, 0},
      {"swiglu", Op::kSwiglu, {{f32, rows(kInner)}, {f32, rows(kInner)}, {bf16, rows(kInner)}}, {}, 0},
      {"swiglu_backward", Op::kSwigluBackward,
       {{bf16, rows(kInner)}, {f32, rows(kInner)}, {f32, rows(kInner)}, {bf16, rows(kInner)}, {bf16, rows(kInner)}}, {}, 0},
      {"add", Op::kAdd, {{f32, all}, {f32, all}, {f32, all}}, {}, 0},
      {"convert", Op::kConvert, {{f32, all}, {bf16, all}}, {}, 0},
  };
  for (const int64_t length : {512, 1024, 2048, 4096}) {  // as many tokens
    const int64_t batch = kBatch * kLength / length;
    const std::vector<int64_t> of_heads{batch, length, kHeads, kHead}, tokens_of{batch, length}, sums{batch, kHeads, length};
    const double product = tokens * static_cast<double>(length * kHeads * kHead);  // the causal half
    cases.push_back({Cat("attention ", length), Op::kAttention, {{bf16, of_heads}, {bf16, of_heads}, {bf16, of_heads}, {i32, tokens_of}, {bf16, of_heads}, {f32, sums}},
                     {0.088}, 2 * product});
    cases.push_back({Cat("attention_backward ", length), Op::kAttentionBackward,
                     {{bf16, of_heads}, {bf16, of_heads}, {bf16, of_heads}, {bf16, of_heads}, {bf16, of_heads}, {f32, sums}, {i32, tokens_of}, {bf16, of_heads}, {bf16, of_heads}, {bf16, of_heads}},
                     {0.088}, 5 * product});
  }
  return cases;
}

// Milliseconds of each of some runs between two events.
// Which kernels are timed: those of a device, with the matrix library or without.
struct Kernels {
  const char* name;
  int capability;
  cuda::LibraryProducts* library;
};

Status Time(cudaStream_t stream, const std::vector<TensorView>& operands, const BenchCase& made, const Kernels& kernels, double* median) {
  CallRecord call;
  for (size_t i = 0; i < operands.size(); ++i) call.operands[i] = operands[i];
  for (size_t i = 0; i < made.attributes.size(); ++i) call.attributes[i] = made.attributes[i];
  const cuda::DeviceKernel& kernel = cuda::kDeviceKernels[static_cast<size_t>(made.op)];
  cuda::DevicePreparation preparation{.library = kernels.library};
  LEMA_RETURN_IF_ERROR(kernel.prepare(call, &preparation));
  void* workspace = nullptr;
  if (preparation.workspace_bytes > 0) LEMA_CUDA(cudaMalloc(&workspace, preparation.workspace_bytes));
  cuda::DeviceFault* fault = nullptr;
  LEMA_CUDA(cudaHostAlloc(reinterpret_cast<void**>(&fault), sizeof(cuda::DeviceFault), cudaHostAllocMapped));
  cudaEvent_t begin, end;
  LEMA_CUDA(cudaEventCreateWithFlags(&begin, cudaEventDefault));
  LEMA_CUDA(cudaEventCreateWithFlags(&end, cudaEventDefault));
  std::vector<float> times;
  for (int run = 0; run < 23; ++run) {
    LEMA_CUDA(cudaEventRecord(begin, stream));
    LEMA_RETURN_IF_ERROR(kernel.launch(call, {stream, static_cast<std::byte*>(workspace), preparation.workspace_bytes, fault, kernels.capability, kernels.library}));
    LEMA_CUDA(cudaEventRecord(end, stream));
    LEMA_CUDA(cudaEventSynchronize(end));
    float milliseconds = 0.0f;
    LEMA_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    if (run >= 3) times.push_back(milliseconds);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  *median = times[times.size() / 2];
  LEMA_CUDA(cudaFreeHost(fault));
  LEMA_CUDA(cudaFree(workspace));
  return Status::Ok();
}

// Numbers below 1 in both dtypes, i32 as zeros: legal tokens and segments.
Status Fill(const TensorView& view) {
  std::vector<std::byte> host(view.bytes());
  uint32_t state = 1;
  for (int64_t i = 0; view.dtype != DType::kI32 && i < view.elements(); ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    if (view.dtype == DType::kF16) {
      reinterpret_cast<uint16_t*>(host.data())[i] = static_cast<uint16_t>(0x2c00u | state >> 22);  // from 1/16 to 1/8
    } else {
      TensorView to = view;
      to.data = host.data();
      Store(to, i, value);
    }
  }
  return FromCuda(cudaMemcpy(view.data, host.data(), host.size(), cudaMemcpyDefault), "operands");
}

Status Run(const BenchCase& made, cudaStream_t stream, int capability, cuda::LibraryProducts* library) {
  std::vector<TensorView> operands;
  double bytes = 0;
  for (const auto& [dtype, dims] : made.operands) {
    TensorView view{nullptr, dtype, static_cast<int32_t>(dims.size()), {1, 1, 1, 1}};
    for (size_t axis = 0; axis < dims.size(); ++axis) view.dim[axis] = dims[axis];
    LEMA_CUDA(cudaMalloc(&view.data, view.bytes()));
    LEMA_RETURN_IF_ERROR(Fill(view));
    bytes += static_cast<double>(view.bytes());
    operands.push_back(view);
  }
  const auto time = [&](const Kernels& kernels) -> Status {
    double milliseconds = 0;
    LEMA_RETURN_IF_ERROR(Time(stream, operands, made, kernels, &milliseconds));
    std::printf("{\"case\": \"%s\", \"kernels\": \"%s\", \"ms\": %.4f, \"tflops\": %.2f, \"gb_per_s\": %.1f}\n", made.name.c_str(), kernels.name,
                milliseconds, made.flops / milliseconds * 1e-9, bytes / milliseconds * 1e-6);
    return Status::Ok();
  };
  LEMA_RETURN_IF_ERROR(time({"of the device", capability, nullptr}));
  const bool attention = made.op == Op::kAttention || made.op == Op::kAttentionBackward;
  if (attention && capability == cuda::kWarpgroupCapability) LEMA_RETURN_IF_ERROR(time({"tensor cores by warps", capability - 1, nullptr}));
  if (made.flops > 0) LEMA_RETURN_IF_ERROR(time({"simt", 0, nullptr}));
  const bool product = made.op == Op::kLinear || made.op == Op::kLinearGradInput;
  if (product && library != nullptr) LEMA_RETURN_IF_ERROR(time({"cuBLASLt where it serves", capability, library}));
  for (const TensorView& view : operands) LEMA_CUDA(cudaFree(view.data));
  return Status::Ok();
}

// A copy within the device: what memory-bound kernels are held against; each byte is read and written.
Status Copy(cudaStream_t stream) {
  constexpr size_t kBytes = size_t{512} << 20;
  void *from = nullptr, *to = nullptr;
  cudaEvent_t begin, end;
  LEMA_CUDA(cudaMalloc(&from, kBytes));
  LEMA_CUDA(cudaMalloc(&to, kBytes));
  LEMA_CUDA(cudaMemset(from, 0, kBytes));
  LEMA_CUDA(cudaEventCreateWithFlags(&begin, cudaEventDefault));
  LEMA_CUDA(cudaEventCreateWithFlags(&end, cudaEventDefault));
  float best = 1e9f;
  for (int run = 0; run < 10; ++run) {
    float milliseconds = 0.0f;
    LEMA_CUDA(cudaEventRecord(begin, stream));
    LEMA_CUDA(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDefault, stream));
    LEMA_CUDA(cudaEventRecord(end, stream));
    LEMA_CUDA(cudaEventSynchronize(end));
    LEMA_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    best = std::min(best, milliseconds);
  }
  std::printf("{\"case\": \"copy on the device\", \"kernels\": \"of the device\", \"ms\": %.4f, \"tflops\": 0, \"gb_per_s\": %.1f}\n", best, 2.0 * kBytes / best * 1e-6);
  LEMA_CUDA(cudaFree(from));
  LEMA_CUDA(cudaFree(to));
  return Status::Ok();
}

// Cases whose name begins so.
Status RunAll(const std::string& begins) {
  cudaStream_t stream;
  LEMA_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamDefault));
  int capability = 0;
  LEMA_RETURN_IF_ERROR(cuda::FindCapability(&capability));
  LEMA_RETURN_IF_ERROR(Copy(stream));
  const auto library = cuda::LibraryProducts::Find(capability);
  for (const BenchCase& made : Cases()) {
    if (made.name.starts_with(begins)) LEMA_RETURN_IF_ERROR(Run(made, stream, capability, library.get()));
  }
  return Status::Ok();
}

}  // namespace
}  // namespace lema::test

int main(int argc, char** argv) {
  const lema::Status status = lema::test::RunAll(argc > 1 ? argv[1] : "");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
