#include <cstdio>
#include <random>

#include "core/engine.h"
#include "core/plan_checker.h"
#include "core/plan_decoder.h"
#include "tests/core_commands.h"

namespace lema::test {
namespace {

constexpr uint64_t kLargestArena = 64u << 20;  // larger ones are legal and would only cost time

enum class Outcome { kRefused, kLoadRefused, kFailed, kRan, kSkipped };
constexpr const char* kOutcomeNames[] = {"refused", "refused at load", "failed at run", "ran", "skipped"};

std::vector<std::byte> Damage(const std::vector<std::byte>& plan, std::mt19937& random) {
  std::vector<std::byte> damaged = plan;
  const auto position = [&] { return random() % damaged.size(); };
  switch (random() % 4) {
    case 0:  // the end is missing
      damaged.resize(position());
      break;
    case 1:  // something is missing in the middle
      damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(position()));
      break;
    default:
      for (unsigned flips = 1 + random() % 6; flips > 0; --flips) {
        const unsigned value = random() % 3 == 0 ? 0xffu : random();
        damaged[position()] = static_cast<std::byte>(value);
      }
  }
  return damaged;
}

Outcome Try(const std::vector<std::byte>& encoded, const PlanFiles& files) {
  Plan plan;
  if (!DecodePlan(encoded, &plan).ok() || !CheckPlan(plan).ok()) return Outcome::kRefused;
  if (plan.threads > 4 || plan.arena_bytes[0] > kLargestArena || plan.arena_bytes[1] > kLargestArena) {
    return Outcome::kSkipped;
  }
  Engine engine({});
  if (!engine.Load(encoded, files.weights).status.ok()) return Outcome::kLoadRefused;
  RunStats stats;
  RunRequest step;
  step.part = 1;
  return engine.Run(step, &stats).status.ok() ? Outcome::kRan : Outcome::kFailed;
}

}  // namespace

int Corrupt(const PlanFiles& files, int rounds, unsigned seed) {
  if (Try(files.plan, files) != Outcome::kRan) {
    std::printf("the undamaged plan does not run\n");
    return 1;
  }
  std::mt19937 random(seed);
  int counts[5] = {};
  for (int round = 0; round < rounds; ++round) ++counts[static_cast<int>(Try(Damage(files.plan, random), files))];
  for (int i = 0; i < 5; ++i) std::printf("%s: %d\n", kOutcomeNames[i], counts[i]);
  // Most damage must be seen; a checker that lets everything through would be found here.
  return counts[0] > rounds / 2 ? 0 : 1;
}

}  // namespace lema::test
