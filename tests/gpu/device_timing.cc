#include "tests/gpu/device_timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

#include "base/bfloat16.h"

namespace lockstep::gpu {
namespace {

using std::chrono::steady_clock;

constexpr double kRoundSeconds = 2e-3;
constexpr double kMostRepeats = 256;  ///< a graph of more nodes takes longer to make than to run

std::unique_ptr<DeviceGraph> Capture(DeviceStream& stream, const std::function<void()>& enqueue, int repeats) {
  stream.BeginCapture();
  for (int i = 0; i < repeats; ++i) enqueue();
  return stream.EndCapture();
}

double SecondsOfRun(DeviceStream& stream, DeviceGraph& work) {
  const auto start = steady_clock::now();
  stream.Run(work);
  stream.Synchronize();
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

/// The median over `rounds`, after one that warms up.
double MedianOfRuns(DeviceStream& stream, DeviceGraph& work, int rounds) {
  SecondsOfRun(stream, work);
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) seconds.push_back(SecondsOfRun(stream, work));
  std::ranges::nth_element(seconds, seconds.begin() + rounds / 2);
  return seconds[static_cast<size_t>(rounds / 2)];
}

double SecondsOfNothing(DeviceStream& stream) {
  static const double seconds = MedianOfRuns(stream,
                                             *Capture(
                                                 stream, [] {}, 0),
                                             51);
  return seconds;
}

template <typename T>
std::vector<T> RandomNumbers(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<T> values(count);
  for (T& value : values) {
    if constexpr (std::is_same_v<T, float>)
      value = normal(random);
    else
      value = BFloat16::From(normal(random));
  }
  return values;
}

template <typename T>
void Fill(DeviceStream& stream, std::span<std::byte> to) {
  if (to.empty()) return;
  const std::vector<T> values = RandomNumbers<T>(std::min<size_t>(to.size() / sizeof(T) + 1, 1 << 20));
  const size_t bytes = values.size() * sizeof(T);
  for (size_t at = 0; at < to.size(); at += bytes)
    stream.Copy(to.data() + at, values.data(), std::min(bytes, to.size() - at));
  stream.Synchronize();
}

}  // namespace

double SecondsOf(step::DeviceKit& kit, const std::function<void()>& enqueue, int rounds) {
  DeviceStream& stream = *kit.stream;
  enqueue();
  stream.Synchronize();
  const double nothing = SecondsOfNothing(stream);
  const auto once = Capture(stream, enqueue, 1);
  SecondsOfRun(stream, *once);
  const double first = std::max(SecondsOfRun(stream, *once) - nothing, 1e-6);
  const auto repeats = static_cast<int>(std::clamp(std::ceil(kRoundSeconds / first), 1.0, kMostRepeats));
  const auto work = Capture(stream, enqueue, repeats);
  // Never nothing: rates divide by it.
  return std::max((MedianOfRuns(stream, *work, rounds) - nothing) / repeats, 1e-9);
}

void FillRandom(step::DeviceKit& kit, DType type, std::span<std::byte> to) {
  if (type == DType::kBF16)
    Fill<BFloat16>(*kit.stream, to);
  else
    Fill<float>(*kit.stream, to);
}

}  // namespace lockstep::gpu
