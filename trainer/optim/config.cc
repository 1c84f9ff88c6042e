// Checks of the optimizer's configuration, and what it says about one parameter.
#include <fnmatch.h>

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::optim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] void Fail(const std::string& message, const std::string& hint = "") {
  throw Error(ErrorKind::kUsage, message, "", hint);
}

// The checks are written so that NaN fails them.

void RequireHalfOpen(const std::string& field, double value) {
  if (!(value >= 0 && value < 1)) Fail(fmt::format("{}: {} is not in [0, 1)", field, value));
}

void RequireAtLeast(const std::string& field, double value, double least) {
  if (!(value >= least && value < kInfinity)) Fail(fmt::format("{}: {} is not a number >= {}", field, value, least));
}

void RequirePositive(const std::string& field, double value) {
  if (!(value > 0 && value < kInfinity)) Fail(fmt::format("{}: {} is not a number > 0", field, value));
}

void ValidateSgd(const Sgd& sgd) {
  RequireHalfOpen("optimizer.sgd.momentum", sgd.momentum());
  if (sgd.nesterov() && sgd.momentum() == 0) {
    Fail("optimizer.sgd.nesterov: Nesterov's method needs momentum", "set optimizer.sgd.momentum, e.g. to 0.9");
  }
}

void ValidateAdam(const std::string& field, const Adam& adam) {
  if (adam.has_beta1()) RequireHalfOpen(field + ".beta1", adam.beta1());
  if (adam.has_beta2()) RequireHalfOpen(field + ".beta2", adam.beta2());
  if (adam.has_epsilon()) RequirePositive(field + ".epsilon", adam.epsilon());
  // The arithmetic is in float.
  if (adam.has_epsilon() && static_cast<float>(adam.epsilon()) == 0) {
    Fail(fmt::format("{}.epsilon: {} is 0 in single precision", field, adam.epsilon()));
  }
}

void ValidateStepDecay(const StepDecay& step) {
  const std::string field = "optimizer.schedule.step";
  if (step.every_steps() > 0 && step.every_epochs() != 0) {
    Fail(field + ": every_steps and every_epochs are both set", "keep one of them");
  }
  if (step.every_steps() == 0 && step.every_epochs() == 0) {
    Fail(field + ": neither every_steps nor every_epochs is set", "set one of them");
  }
  if (step.every_steps() == 0) RequirePositive(field + ".every_epochs", step.every_epochs());
  if (step.has_factor() && !(step.factor() > 0 && step.factor() <= 1)) {
    Fail(fmt::format("{}.factor: {} is not in (0, 1]", field, step.factor()));
  }
}

void ValidateOneCycle(const OneCycle& cycle) {
  const std::string field = "optimizer.schedule.one_cycle";
  if (cycle.has_div()) RequireAtLeast(field + ".div", cycle.div(), 1);
  if (cycle.has_final_div()) RequireAtLeast(field + ".final_div", cycle.final_div(), 1);
  if (cycle.has_rise() && !(cycle.rise() > 0 && cycle.rise() < 1)) {
    Fail(fmt::format("{}.rise: {} is not in (0, 1)", field, cycle.rise()));
  }
}

void ValidateSchedule(const Schedule& schedule) {
  RequireHalfOpen("optimizer.schedule.warmup_fraction", schedule.warmup_fraction());
  if (schedule.warmup_steps() > 0 && schedule.warmup_fraction() > 0) {
    Fail("optimizer.schedule: warmup_steps and warmup_fraction are both set", "keep one of them");
  }
  if (schedule.has_step()) ValidateStepDecay(schedule.step());
  if (schedule.has_one_cycle()) ValidateOneCycle(schedule.one_cycle());
  if (schedule.has_cosine()) {
    const double factor = schedule.cosine().final_factor();
    if (!(factor >= 0 && factor <= 1)) {
      Fail(fmt::format("optimizer.schedule.cosine.final_factor: {} is not in [0, 1]", factor));
    }
  }
}

void ValidateGroup(const std::string& field, const ParameterGroup& group) {
  if (group.pattern().empty()) {
    Fail(field + ".pattern: is required", "write a shell pattern over parameter names, e.g. \"layer1.*\"");
  }
  if (group.has_rate_factor()) RequireAtLeast(field + ".rate_factor", group.rate_factor(), 0);
  if (group.has_weight_decay()) RequireAtLeast(field + ".weight_decay", group.weight_decay(), 0);
  for (const auto& [given, name] :
       {std::pair{group.thaw_at_step() > 0, "thaw_at_step"}, {group.frozen_statistics(), "frozen_statistics"}})
    if (given && !group.frozen())
      Fail(fmt::format("{}.{}: the group is not frozen", field, name), "set frozen: true beside it");
}

}  // namespace

void Validate(const OptimizerConfig& config) {
  switch (config.rule_case()) {
    case OptimizerConfig::kSgd:
      ValidateSgd(config.sgd());
      break;
    case OptimizerConfig::kAdam:
      ValidateAdam("optimizer.adam", config.adam());
      break;
    case OptimizerConfig::kAdamw:
      ValidateAdam("optimizer.adamw", config.adamw());
      break;
    case OptimizerConfig::RULE_NOT_SET:
      Fail("optimizer: no rule is set", "add one of sgd {}, adam {} and adamw {}");
  }
  if (config.learning_rate() == 0) Fail("optimizer.learning_rate: is required", "for example learning_rate: 1e-3");
  RequirePositive("optimizer.learning_rate", config.learning_rate());
  RequireAtLeast("optimizer.weight_decay", config.weight_decay(), 0);
  RequireAtLeast("optimizer.clip_norm", config.clip_norm(), 0);
  RequireHalfOpen("optimizer.ema_decay", config.ema_decay());
  ValidateSchedule(config.schedule());
  for (int i = 0; i < config.groups_size(); ++i)
    ValidateGroup(fmt::format("optimizer.groups[{}]", i), config.groups(i));
}

namespace {

/// The first whose pattern matches; null: none.
const ParameterGroup* GroupOf(const OptimizerConfig& config, const std::string& name) {
  for (const ParameterGroup& group : config.groups())
    if (fnmatch(group.pattern().c_str(), name.c_str(), 0) == 0) return &group;
  return nullptr;
}

}  // namespace

Segment SegmentFor(const OptimizerConfig& config, const std::string& name, bool decays, int64_t begin, int64_t end) {
  double rate_factor = 1, weight_decay = config.weight_decay();
  Segment segment{.begin = begin, .end = end};
  if (const ParameterGroup* group = GroupOf(config, name)) {
    if (group->has_rate_factor()) rate_factor = group->rate_factor();
    if (group->has_weight_decay()) weight_decay = group->weight_decay();
    segment.frozen = group->frozen();
    segment.thaw_at_step = group->thaw_at_step();
  }
  segment.rate_factor = static_cast<float>(rate_factor);
  segment.weight_decay = decays ? static_cast<float>(weight_decay) : 0;
  return segment;
}

Segment StatisticSegment(const OptimizerConfig& config, const std::string& name, float momentum, int64_t begin,
                         int64_t end) {
  Segment segment{.begin = begin, .end = end};
  segment.statistic_momentum = momentum;
  const ParameterGroup* const group = GroupOf(config, name);
  if (group == nullptr || !group->frozen_statistics()) return segment;
  segment.frozen = true;
  segment.thaw_at_step = group->thaw_at_step();
  return segment;
}

std::vector<uint64_t> ThawSteps(const OptimizerConfig& config) {
  std::set<uint64_t> steps;
  for (const ParameterGroup& group : config.groups())
    if (group.frozen() && group.thaw_at_step() > 0) steps.insert(group.thaw_at_step());
  return {steps.begin(), steps.end()};
}

}  // namespace lockstep::optim
