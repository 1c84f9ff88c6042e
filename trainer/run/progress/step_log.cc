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
    records::RankTimes& rank = times_.ranks[r];
    const step::StepTimes& step = ranks[r].times;
    for (const auto& [phase, part] : {std::pair{"prepare", step.prepare},
                                      {"data", step.data},
                                      {"forward", step.forward},
                                      {"backward", step.backward},
                                      {"update", step.update},
                                      {"exchange", step.exchange}})
      rank.phases[phase] += part;
    rank.lanes += step.lanes;
    rank.sent_bytes += ranks[r].sent_bytes;
  }
}

}  // namespace lockstep::run
