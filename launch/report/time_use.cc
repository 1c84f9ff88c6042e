#include "launch/report/time_use.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace lockstep::launch {
namespace {

/// Of one attempt, seconds since 1970; 0: there is no such row.
struct AttemptTimes {
  double first_row = 0, last_row = 0, last_kept = 0;
};

std::map<uint32_t, AttemptTimes> TimesByAttempt(const RunRecord& run) {
  std::map<uint32_t, AttemptTimes> times;
  const auto add = [&](const TimedRow& row, bool kept) {
    if (row.time <= 0) return;
    AttemptTimes& attempt = times[row.attempt];
    if (attempt.first_row == 0 || row.time < attempt.first_row) attempt.first_row = row.time;
    attempt.last_row = std::max(attempt.last_row, row.time);
    if (kept) attempt.last_kept = std::max(attempt.last_kept, row.time);
  };
  for (const TimedRow& row : run.rows.times) add(row, true);
  for (const TimedRow& row : run.discarded) add(row, false);
  return times;
}

double SumOf(const Curves& curves, const std::string& name) {
  double seconds = 0;
  if (const std::vector<Point>* curve = FindCurve(curves, name))
    for (const Point& point : *curve)
      if (std::isfinite(point.y)) seconds += point.y;
  return seconds;
}

/// Of rows that don't say how long their evaluation took, as older versions wrote them: from the logged step to its
/// evaluation's rows, which are written together; nothing where an evaluation's step was not logged.
std::optional<double> EvaluatingBetweenRows(const std::vector<TimedRow>& rows) {
  double seconds = 0;
  bool any = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].evaluation) continue;
    any = true;
    if (i > 0 && rows[i - 1].evaluation && rows[i - 1].step == rows[i].step) continue;
    if (i == 0 || rows[i - 1].step != rows[i].step || rows[i - 1].attempt != rows[i].attempt) return std::nullopt;
    seconds += std::max(0.0, rows[i].time - rows[i - 1].time);
  }
  if (!any) return std::nullopt;
  return seconds;
}

std::optional<double> EvaluatingSeconds(const MetricRows& rows) {
  double seconds = 0;
  size_t saying = 0, all = 0;
  for (const auto& [split, curves] : rows.evaluated) {
    const std::vector<Point>*loss = FindCurve(curves, "loss"), *said = FindCurve(curves, "evaluation_seconds");
    all += loss == nullptr ? 0 : loss->size();
    saying += said == nullptr ? 0 : said->size();
    seconds += SumOf(curves, "evaluation_seconds");
  }
  if (saying < all || all == 0) return EvaluatingBetweenRows(rows.times);
  return seconds;
}

}  // namespace

std::vector<TimePart> TimeUse(const RunRecord& run) {
  const std::map<uint32_t, AttemptTimes> times = TimesByAttempt(run);
  double starting = 0, training = 0, again = 0, between = 0, ended = 0;
  for (const RunStart& start : run.starts) {
    if (start.time <= 0) return {};
    if (ended > 0) between += std::max(0.0, start.time - ended);
    ended = start.time;
    const auto found = times.find(start.attempt);
    if (found == times.end()) continue;
    const AttemptTimes& rows = found->second;
    starting += std::max(0.0, rows.first_row - start.time);
    const double kept_until = std::max(rows.first_row, rows.last_kept);
    training += kept_until - rows.first_row;
    again += rows.last_row - kept_until;
    ended = std::max(ended, rows.last_row);
  }
  if (starting + training + again + between <= 0) return {};
  std::vector<TimePart> parts = {{"starting, up to the first logged step", starting, false},
                                 {"training and evaluating", training, false}};
  if (const auto evaluating = EvaluatingSeconds(run.rows)) parts.push_back({"of this evaluating", *evaluating, true});
  for (const auto& [field, what] : {std::pair("checkpoint_seconds", "of this waiting for checkpoints"),
                                    std::pair("data_seconds", "of this waiting for samples")})
    if (const double waited = SumOf(run.rows.training, field); waited > 0) parts.push_back({what, waited, true});
  if (run.starts.size() > 1) {
    parts.push_back({"steps that a restart lost and that were done again", again, false});
    parts.push_back({"between the last row of a start and the next start", between, false});
  }
  return parts;
}

}  // namespace lockstep::launch
