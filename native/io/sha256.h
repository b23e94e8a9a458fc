// SHA-256 (FIPS 180-4) in parts, with the processor's SHA instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lema {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  void Update(const void* data, size_t bytes);
  // The digest of all that was given; afterwards the object must not be used.
  Sha256Digest Finish();

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_;
  uint64_t total_ = 0;
};

// Compression functions: absorb `blocks` blocks of 64 bytes into the state.
void Sha256BlocksPortable(uint32_t* state, const uint8_t* data, size_t blocks);
void Sha256BlocksX86(uint32_t* state, const uint8_t* data, size_t blocks);
bool HasSha256X86();

extern const uint32_t kSha256Rounds[64];

}  // namespace lema
