#include "trainer/run/progress/step_log.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::run {

StepLog::StepLog(const comm::Topology& topology, uint32_t attempt, uint64_t first_step, uint64_t steps) {
  constexpr uint64_t kWarmUp = 10, kShare = 4;
  left_out_ = std::min(kWarmUp, steps / kShare);
  times_.attempt = attempt;
  times_.first_step = first_step + left_out_;
  for (const std::string& host : topology.host_name_of) times_.ranks.push_back({.host = host});
  phases_.resize(times_.ranks.size());
}

void StepLog::Add(double seconds, uint64_t samples, const std::vector<step::RankRecord>& ranks) {
  CHECK(ranks.size() == times_.ranks.size());
  if (left_out_ > 0) {
    --left_out_;
    return;
  }
  ++times_.steps;
  times_.seconds += seconds;
  times_.samples += samples;
  if (times_.step_seconds.size() < records::TimesRecord::kMostSteps) times_.step_seconds.push_back(seconds);
  const auto slowest = std::max_element(ranks.begin(), ranks.end(),
                                        [](const auto& a, const auto& b) { return a.times.lanes < b.times.lanes; });
  ++times_.ranks[static_cast<size_t>(slowest - ranks.begin())].slowest;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const step::StepTimes& step = ranks[r].times;
    step::StepTimes& sum = phases_[r];
    sum.prepare += step.prepare;
    sum.lanes += step.lanes;
    sum.data += step.data;
    sum.forward += step.forward;
    sum.backward += step.backward;
    sum.update += step.update;
    sum.exchange += step.exchange;
    times_.ranks[r].sent_bytes += ranks[r].sent_bytes;
  }
}

records::TimesRecord StepLog::Times() const {
  records::TimesRecord times = times_;
  for (size_t r = 0; r < phases_.size(); ++r) {
    const step::StepTimes& sum = phases_[r];
    times.ranks[r].phases = {{"prepare", sum.prepare},   {"data", sum.data},     {"forward", sum.forward},
                             {"backward", sum.backward}, {"update", sum.update}, {"exchange", sum.exchange}};
    times.ranks[r].lanes = sum.lanes;
  }
  return times;
}

}  // namespace lockstep::run
