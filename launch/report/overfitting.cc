#include "launch/report/overfitting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/page/axis.h"

namespace lockstep::launch {
namespace {

constexpr double kOfGain = 0.05, kOfLoss = 0.01;

std::vector<Point> Finite(const Curves& curves) {
  const auto found = curves.find("loss");
  std::vector<Point> points = found == curves.end() ? std::vector<Point>() : found->second;
  std::erase_if(points, [](const Point& point) { return !std::isfinite(point.y); });
  return points;
}

std::string StepText(double step, double steps_per_epoch) {
  if (steps_per_epoch <= 0) return "step " + NumberText(step);
  return fmt::format("step {} (epoch {:.3g})", NumberText(step), step / steps_per_epoch);
}

/// The mean over the steps in (`after`, `to`], or of the last one before; NaN where there is none.
double MeanBetween(const std::vector<Point>& curve, double after, double to) {
  double sum = 0, last = std::nan("");
  int count = 0;
  for (const Point& point : curve) {
    if (point.x > to) break;
    last = point.y;
    if (point.x <= after) continue;
    sum += point.y;
    ++count;
  }
  return count > 0 ? sum / count : last;
}

/// ", while training loss is 0.0312: a gap of 0.88"
std::string GapText(double split_loss, double training_loss) {
  if (std::isnan(training_loss)) return "";
  const double gap = split_loss - training_loss;
  std::string text = fmt::format("; training loss is {} there, ", NumberText(training_loss));
  if (gap >= 0) return text + fmt::format("a gap of {}", NumberText(gap));
  return text +
         fmt::format("{} higher, as dropout, augmentation and means over changing weights make it", NumberText(-gap));
}

}  // namespace

std::string SteeringSplit(const MetricRows& rows) {
  for (const char* split : {"validation", "test"})
    if (const auto found = rows.evaluated.find(split); found != rows.evaluated.end() && !Finite(found->second).empty())
      return split;
  return "";
}

Overfitting JudgeOverfitting(const MetricRows& rows, bool running) {
  const std::string split = SteeringSplit(rows);
  if (split.empty())
    return {"Whether it overfits can't be told: there is no evaluation of a validation or test split.", {}};
  const std::vector<Point> losses = Finite(rows.evaluated.at(split)), training = Finite(rows.training);
  const Point first = losses.front(), last = losses.back();
  const Point best = *std::min_element(losses.begin(), losses.end(), [](auto& a, auto& b) { return a.y < b.y; });
  const double before = losses.size() > 1 ? losses[losses.size() - 2].x : 0;
  const std::string gap = GapText(last.y, MeanBetween(training, before, last.x));
  const std::string at_end = fmt::format("{} at {}", NumberText(last.y), StepText(last.x, rows.steps_per_epoch));
  const std::string at_best = fmt::format("{} at {}", NumberText(best.y), StepText(best.x, rows.steps_per_epoch));
  const char* const so_far = running ? " so far" : "";
  if (losses.size() == 1)
    return {fmt::format("There is one evaluation{}, so no trend: {} loss is {}{}.", so_far, split, at_end, gap), {}};
  const double worse = last.y - best.y;
  if (worse > kOfGain * (first.y - best.y) && worse > kOfLoss * std::abs(best.y)) {
    const bool ever_better = best.x > first.x;
    const std::string best_text =
        ever_better ? fmt::format("{} loss was best, {}, and has got worse since", split, at_best)
                    : fmt::format("{} loss has only got worse since its first evaluation, {}", split, at_best);
    return {fmt::format("It overfits{}: {}, to {}{}.", so_far, best_text, at_end, gap),
            Shade{best.x, last.x, split + " loss got worse"}};
  }
  const std::string text = best.x == last.x ? fmt::format("is best at its last evaluation, {}", at_end)
                                            : fmt::format("is {}, hardly worse than its best, {}", at_end, at_best);
  return {fmt::format("It shows no overfitting{}: {} loss {}{}.", so_far, split, text, gap), {}};
}

}  // namespace lockstep::launch
