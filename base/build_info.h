// What this binary is: its version, and a hash of sources, compiler and flags (not of the file) that runs compare.
#pragma once

#include <string_view>

namespace lockstep {

std::string_view Version();
/// Sixteen hexadecimal digits over the project's sources, the compiler's version and its flags.
std::string_view BuildHash();
/// "g++ 12.2.0, -O3 ..., Release".
std::string_view BuildDescription();

}  // namespace lockstep
