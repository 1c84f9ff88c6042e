#include "trainer/loop/straggler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lockstep::loop {

std::optional<std::string> StragglerWatch::Observe(const std::vector<RankRecord>& ranks) {
  if (ranks.size() < 2 || factor_ <= 1) return std::nullopt;
  times_.resize(ranks.size());
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    times_[rank].busy += ranks[rank].lanes_seconds;
    times_[rank].load += ranks[rank].load_seconds;
  }
  if (++steps_ < kSteps) return std::nullopt;
  const std::vector<Times> times = std::exchange(times_, {});
  steps_ = 0;

  std::vector<double> sorted;
  for (const Times& time : times) sorted.push_back(time.busy);
  // The lower of two middles: of two ranks the faster one is the measure.
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<int64_t>((sorted.size() - 1) / 2), sorted.end());
  const double median = sorted[(sorted.size() - 1) / 2];
  const auto slowest = std::max_element(times.begin(), times.end(), [](const Times& a, const Times& b) { return a.busy < b.busy; });
  if (slowest->busy < factor_ * median || slowest->busy <= 0) return std::nullopt;
  const auto rank = static_cast<size_t>(slowest - times.begin());
  return fmt::format("rank {} on {} is slow: its lanes take {:.1f} times as long as the other ranks', {:.1f} ms a step, {:.0f}% of it {}",
                     rank, topology_.host_of[rank], slowest->busy / median, 1000 * slowest->busy / kSteps,
                     100 * std::max(slowest->load, slowest->busy - slowest->load) / slowest->busy,
                     slowest->load > slowest->busy - slowest->load ? "waiting for samples" : "computing");
}

}  // namespace lockstep::loop
