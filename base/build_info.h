// What this binary is: its version, and a hash of sources, compiler and flags (not of the file) that runs compare.
//
// Targets that use it link lockstep_build_info: a library of its own, because it changes with every source, and only
// what asks for it should be linked anew.
#pragma once

#include <string_view>

namespace lockstep {

std::string_view Version();
/// Sixteen hexadecimal digits over the project's sources, the compiler's version and its flags.
std::string_view BuildHash();
/// "GNU 12.2.0, Release, -O3 ...": compiler, build type, flags.
std::string_view BuildDescription();

}  // namespace lockstep
