// The numerics fingerprint: what, besides the recipe and the build, decides bits on a machine.
#pragma once

#include <map>
#include <string>

namespace lockstep::loop {

/// CPU model, cache sizes, instruction set, libc, the backend's library, and environment variables that change numbers.
std::map<std::string, std::string> NumericsFingerprint(const std::string& backend_version);

}  // namespace lockstep::loop
