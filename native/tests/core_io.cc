// Disk, files and digests below the plan.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>

#include "io/file.h"
#include "io/sha256.h"
#include "io/verification.h"
#include "io/worker_pool.h"
#include "tests/check.h"

namespace lema {
namespace {

std::string Hex(const Sha256Digest& digest) {
  std::string text;
  for (const uint8_t byte : digest) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  return text;
}

std::string HashOf(const std::string& text) {
  Sha256 hash;
  hash.Update(text.data(), text.size());
  return Hex(hash.Finish());
}

std::vector<std::byte> RandomBytes(size_t count) {
  std::mt19937 random(7);
  std::vector<std::byte> bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// A file of the given bytes that goes away with the object.
class Scratch {
 public:
  explicit Scratch(std::span<const std::byte> bytes) {
    const int fd = mkstemp(path_);
    CHECK(fd >= 0 && write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  ~Scratch() { unlink(path_); }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/lema-native-XXXXXX";
};

// FIPS 180-4 and NIST's examples.
TEST(Sha256OfKnownMessages) {
  CHECK(HashOf("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(HashOf("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(HashOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(HashOf(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256PortableAndProcessorAgree) {
  const auto bytes = RandomBytes(64 * 37);
  uint32_t portable[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  uint32_t processor[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto data = reinterpret_cast<const uint8_t*>(bytes.data());
  Sha256BlocksPortable(portable, data, 37);
  if (HasSha256X86()) {
    Sha256BlocksX86(processor, data, 37);
    CHECK(std::memcmp(portable, processor, sizeof(portable)) == 0);
  } else {
    std::printf("  skipped: this processor has no SHA instructions\n");
  }
}

TEST(Sha256InPartsOfAnyLength) {
  const auto bytes = RandomBytes(1000);
  Sha256 whole;
  whole.Update(bytes.data(), bytes.size());
  const auto expected = whole.Finish();
  for (size_t part = 1; part <= 130; ++part) {
    Sha256 hash;
    for (size_t at = 0; at < bytes.size(); at += part) hash.Update(bytes.data() + at, std::min(part, bytes.size() - at));
    CHECK(hash.Finish() == expected);
  }
}

TEST(DirectAndBufferedReadsDeliverTheSameBytes) {
  const auto bytes = RandomBytes(3 * kDiskBlock + 123);
  const Scratch file(bytes);
  InputFile input;
  CHECK_OK(input.Open(file.path(), bytes.size()));
  alignas(kDiskBlock) static std::byte direct[4 * kDiskBlock];
  std::vector<std::byte> buffered(bytes.size());
  CHECK_OK(input.ReadDirect(kDiskBlock, 2 * kDiskBlock + 123, direct));
  CHECK(std::memcmp(direct, bytes.data() + kDiskBlock, 2 * kDiskBlock + 123) == 0);
  CHECK_OK(input.ReadBuffered(777, bytes.size() - 777, buffered.data()));
  CHECK(std::memcmp(buffered.data(), bytes.data() + 777, bytes.size() - 777) == 0);
  CHECK(input.delivered() >= 2 * kDiskBlock + 123 + bytes.size() - 777);
}

TEST(AFileThatEndsEarlyIsTruncated) {
  const auto bytes = RandomBytes(2 * kDiskBlock);
  const Scratch file(bytes);
  InputFile input;
  CHECK_OK(input.Open(file.path(), bytes.size()));
  CHECK(truncate(file.path(), kDiskBlock + 5) == 0);
  alignas(kDiskBlock) static std::byte to[2 * kDiskBlock];
  const Status direct = input.ReadDirect(0, 2 * kDiskBlock, to);
  CHECK_CODE(direct, StatusCode::kTruncated);
  CHECK(direct.message().find("byte 4101") != std::string::npos);
  CHECK_CODE(input.ReadBuffered(0, 2 * kDiskBlock, to), StatusCode::kTruncated);
  CHECK_OK(input.ReadDirect(0, kDiskBlock + 5, to));
  InputFile again;
  CHECK_CODE(again.Open(file.path(), bytes.size()), StatusCode::kTruncated);
  CHECK_CODE(again.Open(file.path(), 5), StatusCode::kInvalidArgument);
}

// Reading one's own memory where nothing is mapped fails with EIO, like a disk that is broken there.
TEST(AnErrorOfTheSystemNamesFileAndOffset) {
  InputFile input;
  CHECK_OK(input.Open("/proc/self/mem", 0));
  std::byte to[16];
  const Status status = input.ReadBuffered(4096, 16, to);
  CHECK_CODE(status, StatusCode::kIoError);
  CHECK(status.message().find("/proc/self/mem at byte 4096: Input/output error") != std::string::npos);
}

TEST(WritingWhereTheSystemRefuses) {
  OutputFile file;
  CHECK_CODE(file.Open("/nowhere/file"), StatusCode::kIoError);
  CHECK_OK(file.Open("/dev/full"));
  const std::byte bytes[8] = {};
  CHECK_CODE(file.Write(0, bytes, 8), StatusCode::kIoError);
}

Plan OneTensor(DType dtype, std::span<const std::byte> bytes, bool with_digest) {
  Plan plan{};
  plan.files.push_back({"file", bytes.size()});
  PlannedTensor tensor{"t", dtype, 0, 0, bytes.size(), std::nullopt};
  if (with_digest) {
    Sha256 hash;
    hash.Update(bytes.data(), bytes.size());
    tensor.digest = hash.Finish();
  }
  plan.tensors.push_back(tensor);
  return plan;
}

TEST(VerificationFeedsPartsInOrder) {
  const std::vector<std::byte> bytes(4096, std::byte{3});
  const Plan plan = OneTensor(DType::kF32, bytes, true);
  Verification verification(plan);
  CHECK_OK(verification.Check(0, 2048, 2048, bytes.data() + 2048));  // ahead: waits
  CHECK(verification.complete() == 0);
  CHECK_OK(verification.Check(0, 0, 1024, bytes.data()));
  CHECK_OK(verification.Check(0, 512, 1536, bytes.data() + 512));  // begins inside what was hashed
  CHECK(verification.complete() == 0);
  CHECK_OK(verification.Check(0, 2048, 2048, bytes.data() + 2048));
  CHECK(verification.complete() == 1);
}

TEST(VerificationFindsAChangeInAnyPartAndFindsItAgain) {
  const std::vector<std::byte> bytes(4096, std::byte{3});
  const Plan plan = OneTensor(DType::kF32, bytes, true);
  std::vector<std::byte> changed = bytes;
  changed[1000] = std::byte{4};
  Verification verification(plan);
  for (int time = 0; time < 2; ++time) {
    CHECK_OK(verification.Check(0, 0, 2048, changed.data()));
    CHECK_CODE(verification.Check(0, 2048, 2048, changed.data() + 2048), StatusCode::kDigestMismatch);
  }
  CHECK_OK(verification.Check(0, 0, 4096, bytes.data()));
}

TEST(VerificationFindsNonFiniteValuesOfEveryDType) {
  const auto refused = [](DType dtype, uint64_t bits, size_t size) {
    std::vector<std::byte> bytes(size * 5000);
    std::memcpy(bytes.data() + size * 4998, &bits, size);
    const Plan plan = OneTensor(dtype, bytes, false);
    return Verification(plan).Check(0, 0, bytes.size(), bytes.data()).code() == StatusCode::kNonFinite;
  };
  CHECK(refused(DType::kF32, 0x7f800000, 4));
  CHECK(refused(DType::kF32, 0xffc00001, 4));
  CHECK(!refused(DType::kF32, 0x7f7fffff, 4));
  CHECK(refused(DType::kBF16, 0x7f80, 2));
  CHECK(!refused(DType::kBF16, 0x7c00, 2));
  CHECK(refused(DType::kF16, 0xfc00, 2));
  CHECK(!refused(DType::kF16, 0x7bff, 2));
  CHECK(refused(DType::kF64, 0x7ff0000000000000, 8));
  CHECK(!refused(DType::kI32, 0x7fffffff, 4));
}

TEST(WorkerPoolDoesEachTaskOnceOnAllowedWorkers) {
  WorkerPool pool(4);
  for (const int limit : {1, 3, 4}) {
    for (const uint64_t count : {0, 1, 5, 1000}) {
      std::vector<std::atomic<int>> done(count);
      std::atomic<bool> legal{true};
      pool.ForEach(count, limit, [&](uint64_t i, int worker) {
        done[i].fetch_add(1);
        if (worker >= limit) legal.store(false);
      });
      CHECK(legal.load());
      CHECK(std::all_of(done.begin(), done.end(), [](const auto& times) { return times.load() == 1; }));
    }
  }
}

}  // namespace
}  // namespace lema
