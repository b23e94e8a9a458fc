// What the native tests need of a test framework. TEST(name) { CHECK(...); } registers itself; a failed check is
// printed with its place and the test goes on.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "core/status.h"

namespace lema::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

inline int& Failures() {
  static int failures = 0;
  return failures;
}

struct Registration {
  Registration(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

inline void Expect(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  ++Failures();
  std::printf("  %s:%d: %s\n", file, line, what);
}

inline void ExpectCode(const Status& status, StatusCode code, const char* what, const char* file, int line) {
  if (status.code() == code) return;
  ++Failures();
  std::printf("  %s:%d: %s: code %d (%s), not %d\n", file, line, what, static_cast<int>(status.code()),
              status.message().c_str(), static_cast<int>(code));
}

}  // namespace lema::test

#define TEST(name)                                                          \
  static void name();                                                       \
  static const ::lema::test::Registration registration_##name(#name, name); \
  static void name()
#define CHECK(condition) ::lema::test::Expect((condition), #condition, __FILE__, __LINE__)
#define CHECK_CODE(expression, code) ::lema::test::ExpectCode((expression), (code), #expression, __FILE__, __LINE__)
#define CHECK_OK(expression) CHECK_CODE(expression, ::lema::StatusCode::kOk)
