// What values of options may be, with words of our own where one is not.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::launch {

/// Whole numbers of at least `least` and at most `most`, which fit the option's type: an int by default.
CLI::Validator WholeNumber(int64_t least, int64_t most = 2147483647);
/// Numbers from `least` to `most`, with a fraction or without.
CLI::Validator NumberBetween(double least, double most);
/// Numbers above 0.
CLI::Validator PositiveNumber();
/// One of these words; what comes near to one is suggested.
CLI::Validator OneOf(std::vector<std::string> words);

}  // namespace lockstep::launch
