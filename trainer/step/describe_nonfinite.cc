#include "trainer/step/describe_nonfinite.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "comm/agreement.h"

namespace lockstep::step {
namespace {

constexpr size_t kSamplesNamed = 8;

bool HasNonfiniteLoss(const LaneRecord& lane) {
  return std::any_of(std::begin(lane.losses), std::end(lane.losses), [](double loss) { return !std::isfinite(loss); });
}

/// By lane, of `count`: whether its gradient, or a sum that it is in, is not finite at `element`.
std::vector<char> LanesAt(Compute& compute, size_t count, int64_t element) {
  std::vector<char> known(count);
  if (element >= 0) known = compute.NonfiniteLanes(element);
  const std::string mine(known.begin(), known.end());
  for (const std::string& other : comm::GatherStrings(compute.comm(), mine, "the search for what is not finite"))
    for (size_t lane = 0; lane < count; ++lane) known[lane] |= other[lane];
  return known;
}

std::string SamplesOf(const data::Batches& batches, uint64_t step, size_t lane) {
  data::LaneSamples samples;
  batches.Lane(step, static_cast<int>(lane), samples);
  const size_t rows = samples.picks.size();
  std::string text;
  for (size_t row = 0; row < std::min(rows, kSamplesNamed); ++row)
    text += fmt::format("{}{}", row == 0 ? "" : ", ", samples.picks[row].id);
  return text + (rows > kSamplesNamed ? ", ..." : "");
}

std::string TensorAt(const engine::ParameterLayout& layout, int64_t element) {
  for (const engine::ArenaEntry& entry : layout.entries())
    if (entry.offset <= element && element < entry.offset + entry.size()) return entry.name;
  return "padding";
}

}  // namespace

std::string DescribeNonfinite(const data::Batches& batches, Compute& compute, uint64_t step,
                              const ControlRecord& record) {
  const int64_t element = record.nonfinite();
  std::vector<char> lanes = LanesAt(compute, record.lanes.size(), element);
  const bool losses = std::any_of(record.lanes.begin(), record.lanes.end(), HasNonfiniteLoss);
  if (losses)
    for (size_t lane = 0; lane < lanes.size(); ++lane) lanes[lane] = HasNonfiniteLoss(record.lanes[lane]) ? 1 : 0;

  std::string text = fmt::format("the {} of step {} is not finite", losses ? "loss" : "gradient", step);
  if (element >= 0) text += fmt::format(": first in {}", TensorAt(compute.plans().layout, element));
  std::string from;
  size_t first = lanes.size();
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    if (lanes[lane] == 0) continue;
    from += fmt::format("{}{}", from.empty() ? "" : ", ", lane);
    first = std::min(first, lane);
  }
  if (first < lanes.size())
    text += fmt::format(", from lane{} {} (samples of lane {}: {})", from.find(',') == std::string::npos ? "" : "s",
                        from, first, SamplesOf(batches, step, first));
  return text;
}

}  // namespace lockstep::step
