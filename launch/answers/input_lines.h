// Standard input, line by line: each is answered as it comes, while whoever writes it waits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep::launch {

/// Hands each line, without its LF, to `take` as soon as it is there, with its number, from 1. An Error that `take`
/// throws is given the line as its place.
void ForEachInputLine(const std::function<void(uint64_t number, const std::string& line)>& take);

}  // namespace lockstep::launch
