// What restarts have cost: node-seconds lost, by cause and host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::launch {

/// What one start of a job has cost. It has ended.
struct StartCost {
  int nodes = 1;
  double seconds = 0;       ///< from its start to its end
  double lost_seconds = 0;  ///< of these, after the state that the next start goes on from was durable
  double waited = 0;        ///< until the next start began
  std::string cause = {};   ///< "killed rank", "hang"; empty: nothing was lost
  std::string host = {};    ///< where; may be unknown
};

/// "goodput: 1347 steps in 3 starts, 2 restarts (1 killed rank on h2: 8.1, 1 hang on h1: 4.2), 12.3 of 40.1
/// node-seconds lost". The numbers in brackets are node-seconds.
std::string GoodputLine(uint64_t steps, const std::vector<StartCost>& starts);

double LostNodeSeconds(const StartCost& start);

}  // namespace lockstep::launch
