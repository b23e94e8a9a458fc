// Elements on the device for the tests that call kernels themselves.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/number.h"
#include "op_case.h"

namespace lema::test {

// Filled from a seed or with `value(i)`, `past` elements behind an aligned address.
class DeviceElements {
 public:
  DeviceElements(uint64_t seed, DType dtype, int64_t count, int64_t past = 0)
      : DeviceElements(dtype, count, past, [seed](int64_t i) { return Uniform(seed, static_cast<uint64_t>(i)); }) {}
  template <typename Value>
  DeviceElements(DType dtype, int64_t count, int64_t past, const Value& value)
      : dtype_(dtype), host_(static_cast<size_t>(count) * SizeOf(dtype)), past_bytes_(static_cast<size_t>(past) * SizeOf(dtype)) {
    for (int64_t i = 0; i < count; ++i) {
      if (dtype == DType::kF16) {
        View().as<uint16_t>()[i] = ToF16(static_cast<float>(value(i)));
      } else {
        Store(View(), i, value(i));
      }
    }
    ok_ = cudaMalloc(&memory_, past_bytes_ + host_.size()) == cudaSuccess &&
          cudaMemcpy(data(), host_.data(), host_.size(), cudaMemcpyDefault) == cudaSuccess;
  }
  ~DeviceElements() { (void)cudaFree(memory_); }
  DeviceElements(const DeviceElements&) = delete;
  DeviceElements& operator=(const DeviceElements&) = delete;

  bool ok() const { return ok_; }
  std::byte* data() const { return static_cast<std::byte*>(memory_) + past_bytes_; }
  DType dtype() const { return dtype_; }

  // On the host: as filled, or as fetched since.
  TensorView View() { return {host_.data(), dtype_, 1, {static_cast<int64_t>(host_.size() / SizeOf(dtype_)), 1, 1, 1}}; }
  bool Fetch() { return cudaMemcpy(host_.data(), data(), host_.size(), cudaMemcpyDefault) == cudaSuccess; }

 private:
  DType dtype_;
  std::vector<std::byte> host_;
  size_t past_bytes_;
  void* memory_ = nullptr;
  bool ok_;
};

}  // namespace lema::test
