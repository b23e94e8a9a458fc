// Messages from parts: Cat("tensor ", name, " has ", 3, " rows").
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

namespace lema {

inline void AppendPart(std::string& out, std::string_view part) { out += part; }

template <typename Number>
  requires std::is_arithmetic_v<Number>
void AppendPart(std::string& out, Number number) {
  out += std::to_string(number);
}

template <typename... Parts>
std::string Cat(const Parts&... parts) {
  std::string out;
  (AppendPart(out, parts), ...);
  return out;
}

}  // namespace lema
