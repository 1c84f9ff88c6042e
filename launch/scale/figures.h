// How figures of studies and projections are written.
#pragma once

#include <fmt/format.h>

#include <string>

namespace lockstep::launch {

inline std::string Percent(double share) { return fmt::format("{:.1f} %", share * 100); }
inline std::string Milliseconds(double seconds) { return fmt::format("{:.3g} ms", seconds * 1e3); }

}  // namespace lockstep::launch
