#include "base/machine/core_speed.h"

#include <chrono>

namespace lockstep {
namespace {

/// Some microseconds of work whose result can't be left out.
float Round(float* values) {
  constexpr int kValues = 1024, kTimes = 16;
  for (int time = 0; time < kTimes; ++time)
    for (int i = 0; i < kValues; ++i) values[i] = values[i] * 0.999f + 0.001f;
  return values[0];
}

}  // namespace

double MeasureCoreSpeed(double seconds) {
  using Clock = std::chrono::steady_clock;
  alignas(64) float values[1024] = {};
  volatile float sink = 0;
  const Clock::time_point begin = Clock::now();
  double rounds = 0, passed = 0;
  do {
    sink = sink + Round(values);
    ++rounds;
    passed = std::chrono::duration<double>(Clock::now() - begin).count();
  } while (passed < seconds);
  return rounds / passed;
}

}  // namespace lockstep
