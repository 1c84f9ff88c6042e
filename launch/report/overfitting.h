// Whether a model has begun to learn its training data by heart, in a sentence: its loss on a split that it is not
// trained on has risen again while training went on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/page/chart.h"
#include "launch/report/metric_rows.h"

namespace lockstep::launch {

struct Overfitting {
  std::string sentence;
  std::optional<Shade> worse;  ///< the steps since the split's loss was best, where it has got worse since
};

/// Of the split that steers the run: "validation" where it is evaluated, else "test"; empty where none is.
std::string SteeringSplit(const MetricRows& rows);

/// Training loss at the end is the mean over the logged steps since the evaluation before the last; of a loss that is
/// worse by less than a twentieth of what it had gained, or than a hundredth of itself, nothing is made. `running`:
/// more may come.
Overfitting JudgeOverfitting(const MetricRows& rows, bool running);

}  // namespace lockstep::launch
