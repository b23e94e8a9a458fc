// Shared memory of an emulated block. Every element remembers who touched it since the last barrier: an access that no
// barrier orders against another thread's write is a fault, whichever came first.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace lema::cuda {

template <typename T>
class Watched {
 public:
  operator T() {
    const uint32_t epoch = emulation::running.epoch, thread = emulation::running.thread;
    if (written_ == epoch && writer_ != thread) emulation::Fault("a read that races with a write", __FILE__, __LINE__);
    reader_ = read_ == epoch && reader_ != thread ? kMany : thread;
    read_ = epoch;
    return value_;
  }
  Watched& operator=(T value) {
    const uint32_t epoch = emulation::running.epoch, thread = emulation::running.thread;
    if (written_ == epoch && writer_ != thread) emulation::Fault("two writes that race", __FILE__, __LINE__);
    if (read_ == epoch && reader_ != thread) emulation::Fault("a write that races with a read", __FILE__, __LINE__);
    written_ = epoch;
    writer_ = thread;
    value_ = value;
    return *this;
  }
  Watched& operator+=(T value) { return *this = static_cast<T>(*this) + value; }
  Watched(const Watched&) = delete;
  Watched& operator=(Watched& other) { return *this = static_cast<T>(other); }

 private:
  static constexpr uint32_t kMany = 0xfffffffe;
  // All bits set when the block begins: no epoch has that number.
  T value_;
  uint32_t written_, writer_, read_, reader_;
};

template <typename T, int kCount>
struct SharedArray {
  Watched<T> values[kCount];
  Watched<T>& operator[](int i) {
    if (i < 0 || i >= kCount) emulation::Fault("an index outside of shared memory", __FILE__, __LINE__);
    return values[i];
  }
  void Get(int i, T (&to)[4]) {
    if (i % 4 != 0) emulation::Fault("four neighbours that begin at no multiple of four", __FILE__, __LINE__);
    for (int k = 0; k < 4; ++k) to[k] = (*this)[i + k];
  }
};

template <typename T>
T& Shared() {
  static char type;
  return *static_cast<T*>(emulation::SharedOf(&type, sizeof(T)));
}
template <typename T>
T& WideShared() {
  return Shared<T>();
}

}  // namespace lema::cuda
