// A sweep's results as text and as a page.
#pragma once

#include <string>
#include <vector>

#include "launch/scale/study_text.h"
#include "launch/tune/sweep.h"

namespace lockstep::launch {

struct SweepFacts {
  std::string name, command = {}, build = {}, host = {};
  SweepRequest request = {};
};

/// The best trials, with the interval over seeds where they were run with several.
TextTable BestTable(const SweepFacts& facts, const std::vector<Trial>& trials, size_t most);
/// What is to be said in sentences: how many trials, the best one, what fields matter, what failed.
std::vector<std::string> SweepFindings(const SweepFacts& facts, const std::vector<Trial>& trials);
std::string SweepPage(const SweepFacts& facts, const std::vector<Trial>& trials);

}  // namespace lockstep::launch
