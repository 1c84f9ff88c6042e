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

/// What one update knows of a segment.
struct SegmentUpdate {
  double rate = 0;  ///< the segment's factor included
  float gradient_scale = 1;
  float decay = 0;
};

AdamRule MakeAdamRule(const Adam& config, bool decoupled, const SegmentUpdate& update, uint64_t updates) {
  const double beta1 = config.has_beta1() ? config.beta1() : 0.9;
  const double beta2 = config.has_beta2() ? config.beta2() : 0.999;
  const double epsilon = config.has_epsilon() ? config.epsilon() : 1e-8;
  AdamRule rule;
  rule.gradient_scale = update.gradient_scale;
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

/// One update of one run that lies in one segment. `offset` is the run's place in the slice's arrays.
class RunUpdater {
 public:
  RunUpdater(const OptimizerConfig& config, const Optimizer::Slice& slice, int lanes, int ema, uint64_t updates)
      : config_(config), slice_(slice), lanes_(lanes), ema_(ema), updates_(updates) {}

  void Statistic(const Segment& segment, int64_t offset, int64_t count) const {
    const StatisticRule rule{segment.statistic_momentum, static_cast<float>(1.0 / lanes_)};
    RunStatistic(rule, count, slice_.gradient.data() + offset, slice_.weights + offset);
    // A statistic is an average already.
    if (ema_ >= 0) std::copy_n(slice_.weights + offset, count, State(ema_) + offset);
  }

  void Parameter(const SegmentUpdate& update, int64_t offset, int64_t count) const {
    const AverageRule average{static_cast<float>(config_.ema_decay()), static_cast<float>(1 - config_.ema_decay())};
    const AdamRule adam =
        config_.has_sgd() ? AdamRule{} : MakeAdamRule(AdamConfig(), config_.has_adamw(), update, updates_);
    for (int64_t begin = offset; begin < offset + count; begin += kRunElements) {
      const int64_t length = std::min(kRunElements, offset + count - begin);
      config_.has_sgd() ? SgdRun(update, begin, length)
                        : RunAdam(adam, length, slice_.gradient.data() + begin, slice_.weights + begin,
                                  State(0) + begin, State(1) + begin);
      if (ema_ >= 0) RunAverage(average, length, slice_.weights + begin, State(ema_) + begin);
    }
  }

 private:
  float* State(int index) const { return slice_.state[static_cast<size_t>(index)]; }
  const Adam& AdamConfig() const { return config_.has_adamw() ? config_.adamw() : config_.adam(); }

  void SgdRun(const SegmentUpdate& update, int64_t begin, int64_t count) const {
    const float* gradient = slice_.gradient.data() + begin;
    const float rate = static_cast<float>(update.rate);
    if (config_.sgd().momentum() > 0) {
      const MomentumRule rule{rate, update.gradient_scale, update.decay, static_cast<float>(config_.sgd().momentum()),
                              config_.sgd().nesterov()};
      RunMomentum(rule, count, gradient, slice_.weights + begin, State(0) + begin);
    } else {
      RunPlain(PlainRule{rate, update.gradient_scale, update.decay}, count, gradient, slice_.weights + begin);
    }
  }

  const OptimizerConfig& config_;
  const Optimizer::Slice& slice_;
  const int lanes_;
  const int ema_;
  const uint64_t updates_;
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

void Optimizer::Update(uint64_t step, uint64_t updates, float gradient_scale, const Slice& slice) const {
  CHECK(slice.state.size() == state_names_.size(), "{} state arrays, {} expected", slice.state.size(),
        state_names_.size());
  const int64_t slice_end = slice.begin + static_cast<int64_t>(slice.gradient.size());
  const double rate = LearningRate(step);
  const RunUpdater updater(config_, slice, lanes_, ema_index(), updates);
  const auto first = std::upper_bound(segments_.begin(), segments_.end(), slice.begin,
                                      [](int64_t begin, const Segment& segment) { return begin < segment.end; });
  for (auto segment = first; segment != segments_.end() && segment->begin < slice_end; ++segment) {
    const int64_t begin = std::max(segment->begin, slice.begin), end = std::min(segment->end, slice_end);
    if (segment->statistic_momentum >= 0) {
      updater.Statistic(*segment, begin - slice.begin, end - begin);
    } else if (!segment->frozen) {
      updater.Parameter({rate * segment->rate_factor, gradient_scale, segment->weight_decay}, begin - slice.begin,
                        end - begin);
    }
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
