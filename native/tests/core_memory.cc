#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "core/engine.h"
#include "core/plan_decoder.h"
#include "tests/core_commands.h"

namespace lema::test {
namespace {

constexpr uint64_t kAllowance = 24u << 20;  // heap, and the stacks of all threads

// A figure of /proc/self/status, in bytes.
uint64_t StatusBytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t kib = 0;
    if (word == key + ":" && status >> kib) return kib * 1024;
  }
  return 0;
}

}  // namespace

int MeasureMemory(const PlanFiles& files) {
  Engine engine({});
  const uint64_t before = StatusBytes("VmData");
  // The limit has to be known before the load that must keep it: the plan is read for its arenas alone.
  uint64_t arenas = 0;
  {
    Plan plan;
    if (!DecodePlan(files.plan, &plan).ok()) return 1;
    arenas = plan.arena_bytes[0] + plan.arena_bytes[1];
  }
  const rlimit limit{before + arenas + kAllowance, before + arenas + kAllowance};
  if (setrlimit(RLIMIT_DATA, &limit) != 0) return 1;
  const Failure loaded = engine.Load(files.plan, files.weights);
  RunStats stats;
  RunRequest step;
  step.part = 1;
  const Failure ran = loaded.status.ok() ? engine.Run(step, &stats) : loaded;
  const uint64_t resident = StatusBytes("RssAnon");
  std::printf("arenas %llu, resident %llu; %s\n", static_cast<unsigned long long>(arenas),
              static_cast<unsigned long long>(resident), ran.status.message().c_str());
  // All of the arenas is there from the load on, and little beside it.
  return ran.status.ok() && resident >= arenas && resident <= arenas + kAllowance ? 0 : 1;
}

}  // namespace lema::test
