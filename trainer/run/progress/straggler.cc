#include "trainer/run/progress/straggler.h"

#include <utility>

namespace lockstep::run {

std::string StragglerWatch::Observe(const std::vector<step::RankRecord>& ranks) {
  sums_.resize(ranks.size());
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    sums_[rank].loading += ranks[rank].times.data;
    sums_[rank].computing += ranks[rank].times.lanes - ranks[rank].times.data;
  }
  if (++steps_ < kSteps) return "";
  steps_ = 0;
  std::vector<comm::OwnSeconds> per_step = std::exchange(sums_, {});
  for (comm::OwnSeconds& seconds : per_step) {
    seconds.loading /= kSteps;
    seconds.computing /= kSteps;
  }
  return comm::DescribeStraggler(per_step, topology_, factor_);
}

}  // namespace lockstep::run
