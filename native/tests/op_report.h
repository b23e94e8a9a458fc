// Result lines of the op suite.
#pragma once

#include <cstdio>
#include <string>

namespace lema::test {

class Report {
 public:
  // An empty problem is a pass.
  void Add(const char* op, const std::string& name, const std::string& problem) {
    ++(problem.empty() ? passed_ : failed_);
    std::printf("%s %s %s%s%s\n", problem.empty() ? "ok" : "FAIL", op, name.c_str(), problem.empty() ? "" : ": ", problem.c_str());
  }

  // Prints the count; the exit code.
  int Finish() const {
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  int passed_ = 0;
  int failed_ = 0;
};

}  // namespace lema::test
