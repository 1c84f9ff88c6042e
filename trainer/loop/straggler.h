// Finds ranks that hold the others up: their steps take longer, again and again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "trainer/loop/control_record.h"

namespace lockstep::loop {

class StragglerWatch {
 public:
  /// A rank is slow whose steps take `factor` times as long as the median rank's, or longer.
  StragglerWatch(const comm::Topology& topology, double factor) : topology_(topology), factor_(factor) {}

  /// After each step: a line that names a slow rank and in which phase it is slow, once per kSteps steps at most.
  std::optional<std::string> Observe(const std::vector<RankRecord>& ranks);

  /// Steps over which times are averaged, and between two lines.
  static constexpr int kSteps = 20;

 private:
  struct Times {
    double busy = 0, load = 0;  ///< seconds, summed
  };
  const comm::Topology& topology_;
  double factor_;
  int steps_ = 0;
  std::vector<Times> times_;
};

}  // namespace lockstep::loop
