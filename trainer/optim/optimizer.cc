#include "trainer/optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/isa_clones.h"
#include "trainer/optim/update_rules.h"

namespace lockstep::optim {
namespace {

// The loops over a run of elements. Arrays never overlap.

LOCKSTEP_ISA_CLONES void RunPlain(const PlainRule& rule, int64_t count, const float* __restrict__ gradient,
                                  float* __restrict__ weights) {
  for (int64_t i = 0; i < count; ++i) rule(gradient[i], weights[i]);
}

LOCKSTEP_ISA_CLONES void RunMomentum(const MomentumRule& rule, int64_t count, const float* __restrict__ gradient,
                                     float* __restrict__ weights, float* __restrict__ buffer) {
  for (int64_t i = 0; i < count; ++i) rule(gradient[i], weights[i], buffer[i]);
}

LOCKSTEP_ISA_CLONES void RunAdam(const AdamRule& rule, int64_t count, const float* __restrict__ gradient,
                                 float* __restrict__ weights, float* __restrict__ m, float* __restrict__ v) {
  for (int64_t i = 0; i < count; ++i) rule(gradient[i], weights[i], m[i], v[i]);
}

LOCKSTEP_ISA_CLONES void RunStatistic(const StatisticRule& rule, int64_t count, const float* __restrict__ sums,
                                      float* __restrict__ statistics) {
  for (int64_t i = 0; i < count; ++i) rule(sums[i], statistics[i]);
}

LOCKSTEP_ISA_CLONES void RunAverage(const AverageRule& rule, int64_t count, const float* __restrict__ weights,
                                    float* __restrict__ average) {
  for (int64_t i = 0; i < count; ++i) rule(weights[i], average[i]);
}

/// base^exponent by squaring: the same on every machine, which libm does not promise.
double Power(double base, uint64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

/// Elements updated at a time, so that the average reads weights from cache.
constexpr int64_t kRunElements = 4096;

/// What the rules of a segment follow from, besides the configuration.
struct SegmentUpdate {
  double rate = 0;  ///< the segment's factor included
  float decay = 0;
};

AdamRule MakeAdamRule(const Adam& config, bool decoupled, const SegmentUpdate& update, uint64_t updates) {
  const double beta1 = config.has_beta1() ? config.beta1() : 0.9;
  const double beta2 = config.has_beta2() ? config.beta2() : 0.999;
  const double epsilon = config.has_epsilon() ? config.epsilon() : 1e-8;
  AdamRule rule;
  if (decoupled) {
    rule.shrink = static_cast<float>(1 - update.rate * update.decay);
  } else {
    rule.decay = update.decay;
  }
  rule.beta1 = static_cast<float>(beta1);
  rule.one_minus_beta1 = static_cast<float>(1 - beta1);
  rule.beta2 = static_cast<float>(beta2);
  rule.one_minus_beta2 = static_cast<float>(1 - beta2);
  rule.step_size = static_cast<float>(update.rate / (1 - Power(beta1, updates + 1)));
  rule.second_scale = static_cast<float>(1 / std::sqrt(1 - Power(beta2, updates + 1)));
  rule.epsilon = static_cast<float>(epsilon);
  return rule;
}

void SetParameterRule(const OptimizerConfig& config, const SegmentUpdate& update, uint64_t updates,
                      SegmentRules& rules) {
  const float rate = static_cast<float>(update.rate);
  if (!config.has_sgd()) {
    rules.kind = SegmentRules::Kind::kAdam;
    rules.adam = MakeAdamRule(config.has_adamw() ? config.adamw() : config.adam(), config.has_adamw(), update, updates);
  } else if (config.sgd().momentum() > 0) {
    rules.kind = SegmentRules::Kind::kMomentum;
    rules.momentum = {rate, 1, update.decay, static_cast<float>(config.sgd().momentum()), config.sgd().nesterov()};
  } else {
    rules.kind = SegmentRules::Kind::kPlain;
    rules.plain = {rate, 1, update.decay};
  }
}

/// One update of elements [offset, offset + count) of the slice's arrays, which lie in one segment.
class RunUpdater {
 public:
  RunUpdater(const Optimizer::Slice& slice, float gradient_scale) : slice_(slice), gradient_scale_(gradient_scale) {}

  void Update(const SegmentRules& rules, int64_t offset, int64_t count) const {
    using Kind = SegmentRules::Kind;
    if (rules.kind == Kind::kFrozen) return;
    if (rules.kind == Kind::kStatistic) {
      RunStatistic(rules.statistic, count, slice_.gradient.data() + offset, slice_.weights + offset);
      // A statistic is an average already.
      if (rules.averages) std::copy_n(slice_.weights + offset, count, State(rules.ema) + offset);
      return;
    }
    for (int64_t begin = offset; begin < offset + count; begin += kRunElements) {
      const int64_t length = std::min(kRunElements, offset + count - begin);
      Parameter(rules, begin, length);
      if (rules.averages) RunAverage(rules.average, length, slice_.weights + begin, State(rules.ema) + begin);
    }
  }

 private:
  float* State(int index) const { return slice_.state[static_cast<size_t>(index)]; }

  template <typename Rule>
  Rule Scaled(Rule rule) const {
    rule.gradient_scale = gradient_scale_;
    return rule;
  }

  void Parameter(const SegmentRules& rules, int64_t begin, int64_t count) const {
    const float* gradient = slice_.gradient.data() + begin;
    float* weights = slice_.weights + begin;
    switch (rules.kind) {
      case SegmentRules::Kind::kPlain:
        return RunPlain(Scaled(rules.plain), count, gradient, weights);
      case SegmentRules::Kind::kMomentum:
        return RunMomentum(Scaled(rules.momentum), count, gradient, weights, State(0) + begin);
      case SegmentRules::Kind::kAdam:
        return RunAdam(Scaled(rules.adam), count, gradient, weights, State(0) + begin, State(1) + begin);
      default:
        return;
    }
  }

  const Optimizer::Slice& slice_;
  const float gradient_scale_;
};

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, std::vector<Segment> segments, const RunLength& length, int lanes)
    : config_(config), segments_(std::move(segments)), length_(length), lanes_(lanes) {
  CHECK(lanes_ >= 1);
  for (size_t i = 0; i < segments_.size(); ++i) {
    CHECK(segments_[i].begin <= segments_[i].end && (i == 0 || segments_[i - 1].end <= segments_[i].begin),
          "segment {} does not ascend", i);
  }
  if (config_.has_sgd()) {
    if (config_.sgd().momentum() > 0) state_names_.push_back("momentum");
  } else {
    state_names_ = {"adam.m", "adam.v"};
  }
  if (config_.ema_decay() > 0) state_names_.push_back("ema");
}

int Optimizer::ema_index() const { return config_.ema_decay() > 0 ? static_cast<int>(state_names_.size()) - 1 : -1; }

double Optimizer::LearningRate(uint64_t step) const {
  return config_.learning_rate() * ScheduleFactor(config_.schedule(), length_, step);
}

float Optimizer::ClipFactor(double norm) const {
  if (!clips()) return 1;
  return static_cast<float>(std::min(1.0, config_.clip_norm() / (norm + 1e-6)));
}

SegmentRules Optimizer::RulesOf(const Segment& segment, uint64_t step, double rate, uint64_t updates) const {
  SegmentRules rules;
  rules.begin = segment.begin;
  rules.end = segment.end;
  rules.averages = ema_index() >= 0;
  rules.ema = std::max(0, ema_index());
  rules.average = {static_cast<float>(config_.ema_decay()), static_cast<float>(1 - config_.ema_decay())};
  if (segment.FrozenAt(step)) return rules;
  // Moments of what was frozen begin at the thaw. (Of steps that were skipped, as many count as were not before it.)
  if (segment.thaw_at_step > 0) updates = std::min(updates, step - segment.thaw_at_step);
  if (segment.statistic_momentum >= 0) {
    rules.kind = SegmentRules::Kind::kStatistic;
    rules.statistic = {segment.statistic_momentum, static_cast<float>(1.0 / lanes_)};
  } else {
    SetParameterRule(config_, {rate * segment.rate_factor, segment.weight_decay}, updates, rules);
  }
  return rules;
}

std::vector<SegmentRules> Optimizer::Rules(uint64_t step, uint64_t updates) const {
  std::vector<SegmentRules> rules;
  for (const Segment& segment : segments_) rules.push_back(RulesOf(segment, step, LearningRate(step), updates));
  return rules;
}

void Optimizer::Update(uint64_t step, uint64_t updates, float gradient_scale, const Slice& slice) const {
  CHECK(slice.state.size() == state_names_.size(), "{} state arrays, {} expected", slice.state.size(),
        state_names_.size());
  const int64_t slice_end = slice.begin + static_cast<int64_t>(slice.gradient.size());
  const double rate = LearningRate(step);
  const RunUpdater updater(slice, gradient_scale);
  const auto first = std::upper_bound(segments_.begin(), segments_.end(), slice.begin,
                                      [](int64_t begin, const Segment& segment) { return begin < segment.end; });
  for (auto segment = first; segment != segments_.end() && segment->begin < slice_end; ++segment) {
    const int64_t begin = std::max(segment->begin, slice.begin), end = std::min(segment->end, slice_end);
    updater.Update(RulesOf(*segment, step, rate, updates), begin - slice.begin, end - begin);
  }
}

namespace {

// Vectors of fixed width, not of the machine's, keep one order of summation on every instruction set.
typedef double Doubles __attribute__((vector_size(32)));
typedef float Floats __attribute__((vector_size(16)));

LOCKSTEP_HD Doubles SquaresOfFour(const float* x) {
  Floats narrow;
  std::memcpy(&narrow, x, sizeof(narrow));
  const Doubles wide = __builtin_convertvector(narrow, Doubles);
  return wide * wide;
}

}  // namespace

// Element i is added to sum i mod 16 in ascending order, then the sums are halved: sum i += sum i + 8, i + 4, i + 2, i
// + 1.
LOCKSTEP_ISA_CLONES double ChunkSumOfSquares(std::span<const float> chunk) {
  constexpr size_t kSums = 16;
  Doubles a{}, b{}, c{}, d{};
  const size_t whole = chunk.size() / kSums * kSums;
  for (size_t i = 0; i < whole; i += kSums) {
    a += SquaresOfFour(chunk.data() + i);
    b += SquaresOfFour(chunk.data() + i + 4);
    c += SquaresOfFour(chunk.data() + i + 8);
    d += SquaresOfFour(chunk.data() + i + 12);
  }
  double sums[kSums];
  for (int i = 0; i < 4; ++i) sums[i] = a[i], sums[4 + i] = b[i], sums[8 + i] = c[i], sums[12 + i] = d[i];
  for (size_t i = whole; i < chunk.size(); ++i) sums[i - whole] += static_cast<double>(chunk[i]) * chunk[i];
  for (size_t half = kSums / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

}  // namespace lockstep::optim
