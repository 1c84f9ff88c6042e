// How figures of studies and projections are written.
#pragma once

#include <fmt/format.h>

#include <string>

namespace lockstep::launch {

inline std::string Percent(double share) { return fmt::format("{:.1f} %", share * 100); }
/// Three digits; of a second and more all of them, in place of an exponent.
inline std::string Milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return ms < 999.5 ? fmt::format("{:.3g} ms", ms) : fmt::format("{:.0f} ms", ms);
}

}  // namespace lockstep::launch
