#include "trainer/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lockstep::optim {
namespace {

/// From `from` at progress 0 to `to` at progress 1 along half a cosine.
double HalfCosine(double from, double to, double progress) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(progress, 0.0, 1.0)));
}

/// At step `warmup + position`.
double StepDecayFactor(const StepDecay& step, const RunLength& length, double position, double warmup) {
  const double factor = step.has_factor() ? step.factor() : 0.1;
  if (length.first_step > 0 && step.every_steps() == 0 && step.every_epochs() > 0) {
    const double epochs =
        length.EpochAt(static_cast<uint64_t>(warmup + position)) - length.EpochAt(static_cast<uint64_t>(warmup));
    return std::pow(factor, std::floor(std::max(0.0, epochs) / step.every_epochs()));
  }
  const double every =
      step.every_steps() > 0 ? static_cast<double>(step.every_steps()) : step.every_epochs() * length.steps_per_epoch;
  if (!(every > 0)) return 1;
  return std::pow(factor, std::floor(position / every));
}

/// PyTorch's OneCycleLR (cosine, two phases): phases end at rise * total - 1 and total - 1.
double OneCycleFactor(const OneCycle& cycle, double position, double total) {
  const double first = 1 / (cycle.has_div() ? cycle.div() : 25);
  const double last = first / (cycle.has_final_div() ? cycle.final_div() : 1e4);
  const double top = (cycle.has_rise() ? cycle.rise() : 0.3) * total - 1;
  if (top > 0 && position <= top) return HalfCosine(first, 1, position / top);
  const double fall = total - 1 - top;
  return HalfCosine(1, last, fall > 0 ? (position - top) / fall : 1);
}

}  // namespace

double ScheduleFactor(const Schedule& schedule, const RunLength& length, uint64_t step) {
  const double now = static_cast<double>(step);
  const double total = static_cast<double>(length.total_steps);
  const double warmup =
      schedule.warmup_steps() > 0 ? static_cast<double>(schedule.warmup_steps()) : schedule.warmup_fraction() * total;
  if (now < warmup) return (now + 1) / (warmup + 1);

  const double position = now - warmup, rest = total - warmup;
  switch (schedule.shape_case()) {
    case Schedule::kStep:
      return StepDecayFactor(schedule.step(), length, position, warmup);
    case Schedule::kCosine:
      return HalfCosine(1, schedule.cosine().final_factor(), rest > 0 ? position / rest : 1);
    case Schedule::kOneCycle:
      return OneCycleFactor(schedule.one_cycle(), position, rest);
    case Schedule::kConstant:
    case Schedule::SHAPE_NOT_SET:
      return 1;
  }
  return 1;
}

bool IsExtendable(const Schedule& schedule) {
  if (schedule.warmup_fraction() > 0) return false;
  return schedule.shape_case() != Schedule::kCosine && schedule.shape_case() != Schedule::kOneCycle;
}

}  // namespace lockstep::optim
