// What a rank computes on: memory for weights, gradients and what it owns beside them, the programs of its lanes, and
// the exchange with the other ranks. On the host (host_compute.h): executors on CPU cores, memory that the ranks of a
// host share. On a device (device_compute.h): one GPU. Where nothing is trained, a ForwardCompute is all of it.
//
// Weights and owned state live where they are computed. `weights()` and OwnedState's arrays are the host's view of
// them: on the CPU the same memory; of a device's a copy, which FetchWeights and FetchAll bring up to date and Store
// sends back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "comm/slice_map.h"
#include "data/batches/batches.h"
#include "data/batches/loader.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/run_config.h"
#include "trainer/profile/event_log.h"
#include "trainer/step/control_record.h"
#include "trainer/step/executors.h"
#include "trainer/step/place.h"

namespace lockstep::step {

/// What every compute is made of. All outlive it.
struct ComputeParts {
  const plan::RunConfig& config;
  const data::Batches& batches;
  const Place& place;
  const plan::JobPlans& plans;
  Executors& executors;
};

/// Weights in memory, and forward passes with them: what evaluations take.
class ForwardCompute {
 public:
  explicit ForwardCompute(const ComputeParts& parts) : parts_(parts) {}
  virtual ~ForwardCompute() = default;
  ForwardCompute(const ForwardCompute&) = delete;
  ForwardCompute& operator=(const ForwardCompute&) = delete;

  comm::Communicator& comm() const { return parts_.executors.comm(); }
  const plan::JobPlans& plans() const { return parts_.plans; }
  Executors& executors() const { return parts_.executors; }

  virtual const comm::SliceMap& slices() const = 0;
  /// The host's view of the parameter arena.
  virtual std::span<float> weights() = 0;
  /// Whether that view is this rank's own, or it is the first of those that share one.
  virtual bool holds_weights() const = 0;
  /// Brings the view up to date.
  virtual void FetchWeights() = 0;
  /// Takes over the owned slices of the host's view, of weights and of what else this rank owns, and shares the
  /// weights. Collective.
  virtual void Store() = 0;

  /// Makes ready for Evaluate with the present weights.
  virtual void PrepareEvaluation() = 0;
  /// Forward of one block of an evaluation, on the thread of executor `executor`.
  virtual LaneRecord Evaluate(int executor, const data::LaneBatch& block) = 0;
  /// A named output of that executor's last Evaluate, on its thread. Valid until its next one, or another output's.
  virtual std::span<const std::byte> Output(int executor, const std::string& name) = 0;

 protected:
  const ComputeParts parts_;
};

struct StepWork {
  uint64_t step = 0;     ///< 0-based
  uint64_t updates = 0;  ///< applied before this one
  bool want_norm = false;
  data::Loader* loader = nullptr;
  std::span<LaneRecord> records;            ///< of this rank's lanes, to be filled in
  profile::Recording* recording = nullptr;  ///< of what the rank does; null: nothing is recorded

  profile::EventLog* log() const { return recording == nullptr ? nullptr : &recording->communicating; }
  profile::EventLog* log(int executor) const {
    return recording == nullptr ? nullptr : &recording->executors[static_cast<size_t>(executor)];
  }
};

struct StepSums {
  double grad_norm = 0;    ///< before clipping; 0 where it was not asked for and not needed
  int64_t nonfinite = -1;  ///< first element of the owned sums that is not finite
  StepTimes times;
};

/// The same with training steps, which update the weights and an OwnedState.
class Compute : public ForwardCompute {
 public:
  using ForwardCompute::ForwardCompute;

  /// Lanes, exchange and update of one step. Collective. Where a gradient is not finite and such steps are skipped,
  /// nothing is updated. However it ends, no executor works any more.
  virtual StepSums Step(const StepWork& work) = 0;
  /// After a step: remembers what the owned slices hold; the next Step throws (WeightCheck) where they have changed.
  virtual void NoteWeights() = 0;
  /// Collective, after `step` finished steps: fetches the weights, and throws where a host's differ (WeightCheck).
  /// Returns their hash.
  virtual uint64_t CompareHosts(uint64_t step) = 0;
  /// By lane of all ranks: whether this rank knows that its gradient, or a sum that it is in, is not finite at
  /// `element`, which a Step has just named. Each such lane is known to a rank.
  virtual std::vector<char> NonfiniteLanes(int64_t element) = 0;

  /// Brings the host's view of the weights and of what this rank owns beside them up to date.
  virtual void FetchAll() = 0;
  /// Begins to bring the host's view of what this rank owns up to date, beside the lanes of the next step, whose
  /// updates wait for it. What is returned waits on any thread until that is done; this must outlive it.
  virtual std::function<void()> StartFetch() = 0;
};

}  // namespace lockstep::step
