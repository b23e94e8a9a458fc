// What the executor relies on in a backend, tested through the Backend interface alone. A new backend is added to
// Backends and passes everything unchanged.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/backend.h"
#include "core/cuda_loader.h"
#include "generated/ops.h"
#include "tests/check.h"

namespace lema {
namespace {

// "cuda" too, where a device is.
std::vector<const char*> Backends() {
  std::vector<const char*> names{"cpu", "reference", "cuda-emulated"};
  CudaDevice device;
  if (ProbeCuda("cuda", &device).ok()) names.push_back("cuda");
  return names;
}

constexpr uint64_t kArenaBytes = 1 << 20;
constexpr int64_t kCount = 4099;  // no multiple of a vector

struct Device {
  explicit Device(const char* name) {
    CHECK_OK(MakeBackend({name, 2}, &backend));
    for (const ArenaId arena : {ArenaId::kRam, ArenaId::kVram}) CHECK_OK(backend->AllocateArena(arena, kArenaBytes));
  }
  std::byte* At(ArenaId arena, uint64_t offset) const { return backend->Address(arena) + offset; }
  std::unique_ptr<lema::Lane> Lane(LaneId id) const {
    std::unique_ptr<lema::Lane> lane;
    CHECK_OK(backend->MakeLane(id, &lane));
    return lane;
  }

  std::unique_ptr<Backend> backend;
};

template <typename Test>
void ForEachBackend(const Test& test) {
  for (const char* name : Backends()) {
    Device device(name);
    CHECK(device.backend->name() == name);
    test(device);
  }
}

std::vector<float> Ramp() {
  std::vector<float> values(kCount);
  for (int64_t i = 0; i < kCount; ++i) values[i] = static_cast<float>(i) * 0.5f - 100.0f;
  return values;
}

std::vector<float> FloatsAt(Device& device, const std::byte* from) {
  std::vector<float> values(kCount);
  CHECK_OK(device.backend->Download(values.data(), from, kCount * sizeof(float)));
  return values;
}

Operand Vector(uint8_t index, DType dtype, bool accumulate = false) {
  return {index, 0, 0, dtype, 1, {kCount, 1, 1, 1}, accumulate};
}

Call Fill(double value) {
  return {static_cast<uint32_t>(Op::kFill), {Vector(0, DType::kF32)}, {value}, std::nullopt};
}

Call Add() {
  const DType f32 = DType::kF32;
  return {static_cast<uint32_t>(Op::kAdd), {Vector(0, f32), Vector(1, f32), Vector(2, f32)}, {}, std::nullopt};
}

// Small enough to write down, and an op whose kernels may want scratch.
Call Linear(uint64_t workspace) {
  const auto matrix = [](uint8_t index, std::array<int64_t, kMaxRank> dim, uint8_t rank) {
    return Operand{index, 0, 0, DType::kF32, rank, dim, false};
  };
  return {static_cast<uint32_t>(Op::kLinear),
          {matrix(0, {1, 5, 7, 1}, 3), matrix(1, {3, 7, 1, 1}, 2), matrix(2, {1, 5, 3, 1}, 3)},
          {1.0, 4, 2},
          WorkspaceRange{0, 0, workspace}};
}

TEST(UnknownBackendIsRefused) {
  std::unique_ptr<Backend> backend;
  CHECK_CODE(MakeBackend({"abacus", 1}, &backend), StatusCode::kInvalidArgument);
}

TEST(ArenasAreAlignedZeroAndApart) {
  ForEachBackend([](Device& device) {
    for (const ArenaId arena : {ArenaId::kRam, ArenaId::kVram}) {
      CHECK(reinterpret_cast<uintptr_t>(device.At(arena, 0)) % 4096 == 0);
      std::vector<std::byte> bytes(kArenaBytes, std::byte{1});
      CHECK_OK(device.backend->Download(bytes.data(), device.At(arena, 0), kArenaBytes));
      CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
    }
    const auto ramp = Ramp();
    CHECK_OK(device.backend->Upload(device.At(ArenaId::kVram, 12), ramp.data(), kCount * sizeof(float)));
    CHECK(FloatsAt(device, device.At(ArenaId::kVram, 12)) == ramp);
    CHECK(FloatsAt(device, device.At(ArenaId::kRam, 12)) == std::vector<float>(kCount, 0.0f));
  });
}

TEST(ArenaIsAllocatedOnceAndRefusedWhenTooLarge) {
  ForEachBackend([](Device& device) {
    CHECK_CODE(device.backend->AllocateArena(ArenaId::kRam, 4096), StatusCode::kInvalidArgument);
  });
  for (const char* name : Backends()) {
    std::unique_ptr<Backend> backend;
    CHECK_OK(MakeBackend({name, 1}, &backend));
    CHECK_OK(backend->AllocateArena(ArenaId::kVram, 0));
    CHECK_CODE(backend->AllocateArena(ArenaId::kRam, uint64_t{1} << 55), StatusCode::kResourceExhausted);
  }
}

TEST(CopiesGoBothWays) {
  ForEachBackend([](Device& device) {
    const auto ramp = Ramp();
    const uint64_t bytes = kCount * sizeof(float);
    CHECK_OK(device.backend->Upload(device.At(ArenaId::kRam, 64), ramp.data(), bytes));
    const auto up = device.Lane(LaneId::kH2d);
    const auto down = device.Lane(LaneId::kD2h);
    CHECK_OK(up->Copy(device.At(ArenaId::kVram, 128), device.At(ArenaId::kRam, 64), bytes));
    CHECK_OK(up->Complete(1));
    CHECK_OK(down->Await(*up, 1));
    CHECK_OK(down->Copy(device.At(ArenaId::kRam, 65536), device.At(ArenaId::kVram, 128), bytes));
    CHECK_OK(down->Complete(1));
    CHECK(down->timeline().Await(1));
    CHECK(FloatsAt(device, device.At(ArenaId::kRam, 65536)) == ramp);
  });
}

TEST(CallsRunInTheOrderOfTheLane) {
  for (const LaneId id : {LaneId::kCompute, LaneId::kHost}) {
    ForEachBackend([id](Device& device) {
      const ArenaId arena = id == LaneId::kHost ? ArenaId::kRam : ArenaId::kVram;
      std::byte* const a = device.At(arena, 0);
      std::byte* const b = device.At(arena, 65536);
      std::unique_ptr<BackendCall> three, four, add;
      CHECK_OK(device.backend->Prepare(Fill(3), id, &three));
      CHECK_OK(device.backend->Prepare(Fill(4), id, &four));
      CHECK_OK(device.backend->Prepare(Add(), id, &add));
      const auto lane = device.Lane(id);
      const auto launch = [&](const BackendCall& call, std::array<std::byte*, kMaxOperands> operands) {
        CHECK_OK(lane->Launch(call, operands, nullptr));
      };
      launch(*three, {a});
      launch(*four, {b});
      launch(*add, {a, b, b});  // b = 7
      launch(*add, {a, b, b});  // b = 10
      launch(*four, {a});
      CHECK_OK(lane->Complete(1));
      CHECK(lane->timeline().Await(1));
      CHECK(FloatsAt(device, b) == std::vector<float>(kCount, 10.0f));
      CHECK(FloatsAt(device, a) == std::vector<float>(kCount, 4.0f));
    });
  }
}

TEST(WorkspaceBeyondTheCeilingIsRefused) {
  bool wants = false;
  ForEachBackend([&](Device& device) {
    std::unique_ptr<BackendCall> call;
    CHECK_OK(device.backend->Prepare(Linear(1 << 20), LaneId::kCompute, &call));
    CHECK(call != nullptr);
    // A backend may need no scratch; one that needs some must say so when it gets none.
    const Status without = device.backend->Prepare(Linear(0), LaneId::kCompute, &call);
    CHECK(without.ok() || without.code() == StatusCode::kInvalidArgument);
    wants = wants || !without.ok();
  });
  CHECK(wants);
}

TEST(ALaneWaitsForAnotherAndOnlyAsFarAsAsked) {
  ForEachBackend([](Device& device) {
    const auto compute = device.Lane(LaneId::kCompute);
    const auto copy = device.Lane(LaneId::kH2d);
    std::unique_ptr<BackendCall> fill;
    CHECK_OK(device.backend->Prepare(Fill(1), LaneId::kCompute, &fill));
    std::atomic<bool> second{false};
    std::thread other([&] {
      CHECK_OK(copy->Await(*compute, 2));
      CHECK(second.load());
      CHECK_OK(copy->Complete(1));
    });
    const std::array<std::byte*, kMaxOperands> operands{device.At(ArenaId::kVram, 0)};
    CHECK_OK(compute->Launch(*fill, operands, nullptr));
    CHECK_OK(compute->Complete(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    second.store(true);
    CHECK_OK(compute->Complete(2));
    other.join();
    CHECK(copy->timeline().Await(1));
    CHECK_OK(copy->Await(*compute, 1));  // over long ago
  });
}

// A device's events are a ring that turns many times here, while each lane waits for the other.
TEST(WaitsHoldInPartsOfManyInstructions) {
  constexpr int kInstructions = 700, kSlots = 4;
  ForEachBackend([](Device& device) {
    const auto compute = device.Lane(LaneId::kCompute);
    const auto down = device.Lane(LaneId::kD2h);
    const auto slot = [&](int i) { return device.At(ArenaId::kVram, static_cast<uint64_t>(i % kSlots) * 65536); };
    const auto result = [&](int i) { return device.At(ArenaId::kRam, static_cast<uint64_t>(i) * sizeof(float)); };
    std::vector<std::unique_ptr<BackendCall>> fills(kInstructions + 1);
    for (int i = 1; i <= kInstructions; ++i) CHECK_OK(device.backend->Prepare(Fill(i), LaneId::kCompute, &fills[i]));
    std::thread copying([&] {
      for (int i = 1; i <= kInstructions; ++i) {
        CHECK_OK(down->Await(*compute, i));
        CHECK_OK(down->Copy(result(i), slot(i), sizeof(float)));
        CHECK_OK(down->Complete(i));
      }
    });
    for (int i = 1; i <= kInstructions; ++i) {
      if (i > kSlots) CHECK_OK(compute->Await(*down, i - kSlots));
      CHECK_OK(compute->Launch(*fills[i], std::array{slot(i)}, nullptr));
      CHECK_OK(compute->Complete(i));
    }
    copying.join();
    uint64_t ended = 0;
    CHECK_OK(compute->Drain(&ended));
    CHECK_OK(down->Drain(&ended));
    const std::vector<float> results = FloatsAt(device, device.At(ArenaId::kRam, 0));
    for (int i = 1; i <= kInstructions; ++i) CHECK(results[i] == static_cast<float>(i));
    // Events of these have long stood for other instructions.
    for (const int i : {kInstructions, 1, 128, 129, kInstructions - 128}) CHECK_OK(down->Await(*compute, i));
  });
}

TEST(StoppingWakesAWaitingLane) {
  ForEachBackend([](Device& device) {
    const auto compute = device.Lane(LaneId::kCompute);
    const auto disk = device.Lane(LaneId::kDisk);
    std::thread other([&] { CHECK_CODE(compute->Await(*disk, 1), StatusCode::kCancelled); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    disk->Stop();
    other.join();
    CHECK_OK(disk->Complete(1));  // too late to be heard
    CHECK(!disk->timeline().Await(1));
    disk->Begin({});
    CHECK_OK(disk->Complete(1));
    CHECK_OK(compute->Await(*disk, 1));
  });
}

}  // namespace
}  // namespace lema
