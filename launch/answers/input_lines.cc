#include "launch/answers/input_lines.h"

#include <fmt/format.h>

#include <iostream>

#include "base/error.h"

namespace lockstep::launch {

void ForEachInputLine(const std::function<void(uint64_t number, const std::string& line)>& take) {
  std::string line;
  for (uint64_t number = 1; std::getline(std::cin, line); ++number) {
    try {
      take(number, line);
    } catch (const Error& error) {
      throw Error(error.kind(), error.message(), fmt::format("standard input:{}", number), error.hint());
    }
  }
}

}  // namespace lockstep::launch
