// Finds ranks that hold the others up: their steps take longer, again and again.
#pragma once

#include <string>
#include <vector>

#include "comm/diagnosis.h"
#include "trainer/step/control_record.h"

namespace lockstep::run {

class StragglerWatch {
 public:
  /// `factor`: see comm::DescribeStraggler.
  StragglerWatch(const comm::Topology& topology, double factor) : topology_(topology), factor_(factor) {}

  /// After each step: a line that names a slow rank and in which phase it is slow, once per kSteps steps at most; else
  /// nothing.
  std::string Observe(const std::vector<step::RankRecord>& ranks);

  /// Steps over which times are averaged, and between two lines.
  static constexpr int kSteps = 20;

 private:
  const comm::Topology& topology_;
  double factor_;
  int steps_ = 0;
  std::vector<comm::OwnSeconds> sums_;
};

}  // namespace lockstep::run
