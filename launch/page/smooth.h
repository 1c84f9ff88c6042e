// Training curves are noisy: each point of a smoothed one is the mean of a window of logged steps, and windows don't
// overlap, so that no point says more than its steps do.
#pragma once

#include <string>
#include <vector>

#include "launch/page/chart.h"

namespace lockstep::launch {

struct Windows {
  std::vector<double> ends;  ///< the last step of each, ascending
  bool between_evaluations = false;
  size_t rows = 0;  ///< in each where they are not between evaluations; at most
};

/// Windows for logged steps at the x of `curve`: those between evaluations at the x of `evaluations` where there are at
/// least five, else 60 of equally many rows.
Windows ChooseWindows(const std::vector<Point>& curve, const std::vector<Point>& evaluations);

/// For each window that has finite points their mean step and mean value.
std::vector<Point> Smooth(const std::vector<Point>& curve, const Windows& windows);

/// "mean between evaluations", "mean of 12 rows"; empty where a window is a single row.
std::string InWords(const Windows& windows);

}  // namespace lockstep::launch
