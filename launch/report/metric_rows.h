// metrics.jsonl as curves (docs/run-folder.md). Reads any bytes: rows may be torn, missing, of other versions, or be
// written at this moment.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launch/page/chart.h"

namespace lockstep::launch {

/// When a step was written down.
struct TimedRow {
  double step = 0;
  double time = 0;  ///< seconds since 1970
  uint32_t attempt = 0;
  bool evaluation = false;
};

/// By the name of a number, its values by ascending step. What was not finite is NaN.
using Curves = std::map<std::string, std::vector<Point>>;

/// Null where there is none, or an empty one.
const std::vector<Point>* FindCurve(const Curves& curves, const std::string& name);

struct MetricRows {
  Curves training;                                          ///< of logged steps: "loss", "learning_rate", ...
  std::map<std::string, Curves, std::greater<>> evaluated;  ///< by split: validation comes before test
  std::vector<TimedRow> times;                              ///< in the file's order
  double steps_per_epoch = 0;                               ///< 0: not known
  double last_epoch = 0;
  uint64_t unreadable = 0;      ///< lines that are no rows, but for a torn last one
  uint64_t not_finite = 0;      ///< logged steps whose loss is NaN or infinite
  double first_not_finite = 0;  ///< the step of the first of them
};

/// A row whose step is not above that of one before takes the place of all from that step on: a resume went back.
MetricRows ParseMetricRows(std::string_view text);

/// Of what a row says, the numbers that are measures of the model, in the order in which they are shown: not the rate,
/// the norm, the speed, times and the like.
std::vector<std::string> MeasuresOf(const MetricRows& rows);

}  // namespace lockstep::launch
