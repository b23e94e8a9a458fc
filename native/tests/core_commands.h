// The tests that need a plan, which the TypeScript side encodes and passes as files. Each returns an exit status.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lema::test {

struct PlanFiles {
  std::vector<std::byte> plan;       // as encodePlan makes it
  std::vector<std::string> weights;  // in the order of the plan's files
};

// Damages the plan `rounds` times; every variant must be refused or run, and neither may crash.
int Corrupt(const PlanFiles& files, int rounds, unsigned seed);

// Runs the plan's train-step twice and counts what is allocated meanwhile.
int CountAllocations(const PlanFiles& files);

// Loads and runs under a limit on data memory of the arenas and a little; compares the peak with both.
int MeasureMemory(const PlanFiles& files);

}  // namespace lema::test
