// What the emulated device promises of streams and events, as a device does. A lock ends the program by an alarm.
#include <cuda_runtime.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "op_report.h"

namespace lema::test {
namespace {

// One block of one warp.
cudaError_t Launch(cudaStream_t stream, std::function<void()> body) {
  return emulation::LaunchKernel(dim3{1, 1, 1}, dim3{32, 1, 1}, stream, std::move(body));
}

void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

// Empty, or what is wrong. An event may be destroyed while a stream has yet to reach it, and another waits for that.
std::string DestroyAwaitedEvent() {
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  if (cudaStreamCreateWithFlags(&first, cudaStreamDefault) != cudaSuccess) return "a stream";
  if (cudaStreamCreateWithFlags(&second, cudaStreamDefault) != cudaSuccess) return "a stream";
  if (cudaEventCreateWithFlags(&event, cudaEventDefault) != cudaSuccess) return "an event";
  std::atomic<bool> may_end{false}, ended{false}, early{false}, behind{false};
  (void)Launch(first, [&] {
    while (!may_end) Pause();
    ended = true;
  });
  (void)cudaEventRecord(event, first);
  (void)Launch(second, [&] { behind = true; });
  (void)cudaStreamWaitEvent(second, event, 0);
  (void)Launch(second, [&] { early = !ended; });
  while (!behind) Pause();
  for (int i = 0; i < 20; ++i) Pause();  // the second stream waits by now
  (void)cudaEventDestroy(event);
  may_end = true;
  const bool reached = cudaStreamSynchronize(first) == cudaSuccess && cudaStreamSynchronize(second) == cudaSuccess;
  (void)cudaStreamDestroy(first);
  (void)cudaStreamDestroy(second);
  if (!reached) return "an error";
  return early ? "the second stream went on before the first was there" : "";
}

}  // namespace
}  // namespace lema::test

int main() {
  alarm(30);
  lema::test::Report report;
  for (int again = 0; again < 10; ++again) {
    report.Add("streams", "an event destroyed while it is awaited", lema::test::DestroyAwaitedEvent());
  }
  return report.Finish();
}
