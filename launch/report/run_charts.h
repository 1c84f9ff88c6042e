// The charts of one run.
#pragma once

#include <string>
#include <vector>

#include "launch/page/chart.h"
#include "launch/report/read_run.h"

namespace lockstep::launch {

/// "Loss", "Accuracy", "CER": a row's field for people.
std::string NameOfMeasure(const std::string& measure);

/// Whether a logarithmic axis shows them better: all is > 0, and the highest 50 times the least. Of the strong lines
/// that have dots, where there are such: a training loss near 0 must not hide what evaluations say.
bool WantsLogarithm(const std::vector<Series>& series);

/// Training (each row faint behind the mean of windows) and every split that has the measure; restarts are marked, and
/// checkpoints, and of the loss the steps in which it got worse.
Chart MeasureChart(const RunRecord& run, const std::string& measure);

/// Learning rate, speed, norm of the gradient, power: those that rows have.
std::vector<Chart> CircumstanceCharts(const RunRecord& run);

/// Steps over the clock's time, with starts, checkpoints and what was done again; nothing where the run took less than
/// ten seconds in one start.
std::vector<Chart> ProgressChart(const RunRecord& run);

/// A learning rate, speed or other field of rows with the faint line of its rows behind its mean; `colour` of both.
/// Nothing where rows don't have it.
std::vector<Series> SmoothedSeries(const RunRecord& run, const std::string& field, const std::string& name, int colour,
                                   bool with_rows);

}  // namespace lockstep::launch
