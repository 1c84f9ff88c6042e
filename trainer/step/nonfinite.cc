#include "trainer/step/nonfinite.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/isa_clones.h"
#include "data/batches.h"

namespace lockstep::step {
namespace {

constexpr size_t kSamplesNamed = 8;

/// A NaN or an infinity has all bits of the exponent set.
LOCKSTEP_ISA_CLONES bool AnyNonfinite(const float* values, size_t count) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t any = 0;
  for (size_t i = 0; i < count; ++i) any |= (std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
  return any != 0;
}

bool HasNonfiniteLoss(const LaneRecord& lane) {
  return std::any_of(std::begin(lane.losses), std::end(lane.losses), [](double loss) { return !std::isfinite(loss); });
}

/// By lane: whether its gradient, or a sum that it is in, is not finite at `element`.
std::vector<char> LanesAt(CompiledModel& session, int64_t element) {
  std::vector<char> own(static_cast<size_t>(session.lanes().size()));
  if (element >= 0) own = session.compute().NonfiniteLanes(element);
  const std::string mine(own.begin(), own.end());
  std::vector<char> lanes;
  for (const std::string& part : comm::GatherStrings(session.comm(), mine, "the search for what is not finite"))
    lanes.insert(lanes.end(), part.begin(), part.end());
  return lanes;
}

std::string SamplesOf(const plan::Job& job, uint64_t step, size_t lane) {
  data::LaneSamples samples;
  job.splits.batches->Lane(step, static_cast<int>(lane), samples);
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

int64_t FirstNonfinite(std::span<const float> values) {
  if (!AnyNonfinite(values.data(), values.size())) return -1;
  const auto first = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  return first - values.begin();
}

std::string DescribeNonfinite(const plan::Job& job, CompiledModel& session, uint64_t step,
                              const ControlRecord& record) {
  const int64_t element = record.nonfinite();
  std::vector<char> lanes = LanesAt(session, element);
  const bool losses = std::any_of(record.lanes.begin(), record.lanes.end(), HasNonfiniteLoss);
  if (losses)
    for (size_t lane = 0; lane < lanes.size(); ++lane) lanes[lane] = HasNonfiniteLoss(record.lanes[lane]) ? 1 : 0;

  std::string text = fmt::format("the {} of step {} is not finite", losses ? "loss" : "gradient", step);
  if (element >= 0) text += fmt::format(": first in {}", TensorAt(session.layout(), element));
  std::string from;
  size_t first = lanes.size();
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    if (lanes[lane] == 0) continue;
    from += fmt::format("{}{}", from.empty() ? "" : ", ", lane);
    first = std::min(first, lane);
  }
  if (first < lanes.size())
    text += fmt::format(", from lane{} {} (samples of lane {}: {})", from.find(',') == std::string::npos ? "" : "s",
                        from, first, SamplesOf(job, step, first));
  return text;
}

}  // namespace lockstep::step
