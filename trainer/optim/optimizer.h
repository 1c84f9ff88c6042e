// The update of weights: SGD with momentum and Nesterov, Adam, AdamW; running statistics; an exponential moving average
// of the weights. It works on slices of the parameter arena, in any cut: bits don't depend on slicing. The arithmetic
// of one element is written once, in update_rules.h, as host and device functors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/optim/optimizer.pb.h"
#include "trainer/optim/schedule.h"
#include "trainer/optim/update_rules.h"

namespace lockstep::optim {

/// A run of the parameter arena that is updated alike: a parameter or a running statistic. Segments ascend, don't
/// overlap, and need not tile the arena (padding is never touched).
struct Segment {
  int64_t begin = 0;
  int64_t end = 0;
  bool frozen = false;        ///< neither it nor its state changes
  uint64_t thaw_at_step = 0;  ///< frozen until this step; 0: for ever
  float rate_factor = 1;
  float weight_decay = 0;
  /// >= 0: a running statistic, moved by this factor toward the mean over lanes.
  float statistic_momentum = -1;

  bool FrozenAt(uint64_t step) const { return frozen && (thaw_at_step == 0 || step < thaw_at_step); }
};

/// Throws Error(kUsage) naming the field of an impossible configuration ("optimizer.sgd.momentum: ...").
void Validate(const OptimizerConfig& config);

/// What applies to the parameter `name`: its group's factors, or the configuration's. `decays`: whether it is a matrix
/// or kernel.
Segment SegmentFor(const OptimizerConfig& config, const std::string& name, bool decays, int64_t begin, int64_t end);
/// What applies to the running statistic `name`, moved by `momentum`: it is frozen where its group says so of
/// statistics.
Segment StatisticSegment(const OptimizerConfig& config, const std::string& name, float momentum, int64_t begin,
                         int64_t end);

/// Steps at which frozen parameters are trained from then on, ascending, each once.
std::vector<uint64_t> ThawSteps(const OptimizerConfig& config);

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, std::vector<Segment> segments, const RunLength& length, int lanes);

  /// Arrays of floats parallel to the parameter arena, zero at the start save "ema", which starts as the weights:
  /// "momentum" (where there is any); "adam.m" and "adam.v"; "ema" (of a running statistic: the statistic itself).
  const std::vector<std::string>& state_names() const { return state_names_; }
  /// Index of "ema" in state_names(), -1 where there is none.
  int ema_index() const;
  bool clips() const { return config_.clip_norm() > 0; }
  double LearningRate(uint64_t step) const;
  /// The factor that clipping puts on gradients whose global L2 norm is `norm`: min(1, clip_norm / (norm + 1e-6)).
  float ClipFactor(double norm) const;

  /// A contiguous part of the arena, all arrays starting at element `begin`.
  struct Slice {
    int64_t begin = 0;
    std::span<const float> gradient;  ///< lane-tree sums (of gradients, and of lane statistics)
    float* weights = nullptr;         ///< in and out
    std::vector<float*> state;        ///< by state_names()
  };
  /// One update. `updates` have been applied before this one (Adam's bias correction counts them, of thawed parameters
  /// those since the thaw), `gradient_scale`
  /// multiplies gradients (clipping), not statistics. Thread-safe on disjoint slices.
  void Update(uint64_t step, uint64_t updates, float gradient_scale, const Slice& slice) const;
  /// What Update does to each segment, for a device that updates by itself (update_rules.h: UpdateElement).
  std::vector<SegmentRules> Rules(uint64_t step, uint64_t updates) const;

 private:
  SegmentRules RulesOf(const Segment& segment, uint64_t step, double rate, uint64_t updates) const;

  OptimizerConfig config_;
  std::vector<Segment> segments_;
  RunLength length_;
  int lanes_;
  std::vector<std::string> state_names_;
};

/// Sums of squares over fixed chunks, in double, in one fixed order whatever the instruction set; norms add them in
/// index order.
double ChunkSumOfSquares(std::span<const float> chunk);

}  // namespace lockstep::optim
