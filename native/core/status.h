// What a native function returns: ok, or a code, a sentence and the source line that said it. Nothing in native code
// throws across a thread or calls exit; a Status carries the first failure up to JavaScript, where it becomes a
// diagnostic.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <utility>

namespace lema {

enum class StatusCode : int32_t {
  kOk = 0,
  kInvalidArgument = 1,    // the plan or a call breaks a rule of the engine
  kOutOfRange = 2,         // an offset, index or size outside its buffer, file or declared range
  kIoError = 3,            // the operating system refused (errno in the message)
  kTruncated = 4,          // a file ended before the planned range did
  kDigestMismatch = 5,     // weights differ from what was planned
  kNonFinite = 6,          // NaN or infinity where none may be
  kKernelError = 7,        // a kernel or its library failed
  kCancelled = 8,          // stopped on request
  kResourceExhausted = 9,  // memory could not be allocated
  kOpTableMismatch = 10,   // plan and module come from different op tables
  kUnavailable = 11,       // a backend whose object, driver or device is not on this machine
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message, std::source_location where = std::source_location::current())
      : code_(code), message_(std::move(message)), where_(where) {}
  static Status Ok() { return {}; }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  // Where the failure was first stated.
  const std::source_location& where() const { return where_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
  std::source_location where_;
};

#define LEMA_RETURN_IF_ERROR(expression)                  \
  do {                                                    \
    if (::lema::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

}  // namespace lema
