// lema_native_tests                              every TEST
// lema_native_tests corrupt ROUNDS SEED PLAN FILE…
// lema_native_tests allocations PLAN FILE…
// lema_native_tests memory PLAN FILE…
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/check.h"
#include "tests/core_commands.h"

namespace lema::test {
namespace {

PlanFiles Load(char** first, char** end) {
  std::ifstream in(*first, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  PlanFiles files;
  const auto data = reinterpret_cast<const std::byte*>(bytes.data());
  files.plan.assign(data, data + bytes.size());
  files.weights.assign(first + 1, end);
  return files;
}

int RunAll() {
  int failed = 0;
  for (const Case& test : Cases()) {
    const int before = Failures();
    std::printf("%s\n", test.name);
    test.run();
    if (Failures() != before) ++failed;
  }
  std::printf("%zu passed, %d failed\n", Cases().size() - static_cast<size_t>(failed), failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lema::test

int main(int count, char** arguments) {
  using namespace lema::test;
  char** const end = arguments + count;
  if (count == 1) return RunAll();
  if (count >= 5 && std::strcmp(arguments[1], "corrupt") == 0) {
    return Corrupt(Load(arguments + 4, end), std::atoi(arguments[2]), static_cast<unsigned>(std::atoi(arguments[3])));
  }
  if (count >= 3 && std::strcmp(arguments[1], "allocations") == 0) return CountAllocations(Load(arguments + 2, end));
  if (count >= 3 && std::strcmp(arguments[1], "memory") == 0) return MeasureMemory(Load(arguments + 2, end));
  std::fprintf(stderr, "see the first lines of native/tests/core_main.cc\n");
  return 2;
}
