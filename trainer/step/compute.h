// What a rank computes on: memory for weights, gradients and what it owns beside them, the programs of its lanes, and
// the exchange with the other ranks. On the host (host_compute.h): executors on CPU cores, memory that the ranks of a
// node share. On a device (device_compute.h): one GPU.
//
// Weights and owned state live where they are computed. `weights()` and OwnedState's arrays are the host's view of
// them: on the CPU the same memory; of a device's a copy, which Fetch brings up to date and Store sends back.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "comm/slice_map.h"
#include "data/loader.h"
#include "trainer/step/control_record.h"

namespace lockstep::optim {
class Optimizer;
}

namespace lockstep::step {

class OwnedState;
class WeightCheck;

struct StepWork {
  uint64_t step = 0;     ///< 0-based
  uint64_t updates = 0;  ///< applied before this one
  bool want_norm = false;
  data::Loader* loader = nullptr;
  std::span<LaneRecord> records;  ///< of this rank's lanes, to be filled in
};

struct StepSums {
  double grad_norm = 0;                        ///< before clipping; 0 where it was not asked for and not needed
  int64_t nonfinite = -1;                      ///< first element of the owned sums that is not finite
  double lanes_seconds = 0, load_seconds = 0;  ///< of the slowest executor, and what it waited for samples in them
};

class Compute {
 public:
  virtual ~Compute() = default;

  virtual const comm::SliceMap& slices() const = 0;
  /// The host's view of the parameter arena.
  virtual std::span<float> weights() = 0;
  /// Whether that view is this rank's own, or it is the first of those that share one.
  virtual bool holds_weights() const = 0;

  /// Zeroed memory for OwnedState's arrays.
  virtual Buffer AllocateView(size_t bytes) = 0;

  /// To be called before the first Step; `state`'s arrays begin with the optimizer's. All three outlive the steps.
  virtual void PrepareTraining(const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check) = 0;
  /// Lanes, exchange and update of one step. Collective. Where a gradient is not finite and such steps are skipped,
  /// nothing is updated. However it ends, no executor works any more.
  virtual StepSums Step(const StepWork& work) = 0;
  /// After a step: remembers what the owned slices hold; the next Step throws (WeightCheck) where they have changed.
  virtual void NoteWeights() = 0;
  /// By lane of this rank: whether its gradient, or a sum that it is in, is not finite at `element`. After Step and
  /// before the next one.
  virtual std::vector<char> NonfiniteLanes(int64_t element) = 0;

  /// Makes ready for Evaluate with the present weights.
  virtual void PrepareEvaluation() = 0;
  /// Forward of one block of an evaluation, on the thread of executor `executor`.
  virtual LaneRecord Evaluate(int executor, const data::LaneBatch& block) = 0;
  /// A named output of that executor's last Evaluate, on its thread. Valid until its next one, or another output's.
  virtual std::span<const std::byte> Output(int executor, const std::string& name) = 0;

  enum class Part { kWeights, kAll };
  /// Brings the host's view up to date: all weights, and with kAll what this rank owns beside them.
  virtual void Fetch(Part part) = 0;
  /// Begins to bring the host's view of what this rank owns up to date, beside the lanes of the next step, whose
  /// updates wait for it. What is returned waits on any thread until that is done; this must outlive it.
  virtual std::function<void()> StartFetch() = 0;
  /// Takes over the owned slices of the host's view, weights and companions, and shares the weights. Collective.
  virtual void Store() = 0;
};

}  // namespace lockstep::step
