// Computing on the host's cores: lanes on executors, gradients and weights in memory that the ranks of a host share,
// the update of owned slices by all executors.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "comm/exchange.h"
#include "trainer/optim/optimizer.h"
#include "trainer/step/compute.h"
#include "trainer/step/host_model.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/weight_check.h"

namespace lockstep::step {

class HostCompute final : public Compute {
 public:
  /// Collective. `optimizer` and `state`, whose arrays begin with the optimizer's, outlive this.
  HostCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state);

  const comm::SliceMap& slices() const override { return exchange().slices(); }
  std::span<float> weights() override { return exchange().weights(); }
  bool holds_weights() const override { return comm().topology().local_rank() == 0; }
  void FetchWeights() override {}
  void Store() override { exchange().ShareNow(); }
  void PrepareEvaluation() override { model_.PackForEvaluation(); }
  LaneRecord Evaluate(int executor, const data::LaneBatch& block) override {
    return model_.runner(executor).Evaluate(block);
  }
  std::span<const std::byte> Output(int executor, const std::string& name) override {
    return model_.runner(executor).Output(name);
  }
  StepSums Step(const StepWork& work) override;
  void NoteWeights() override { check_.NoteOwned(); }
  uint64_t CompareHosts(uint64_t step) override { return check_.CompareHosts(step); }
  std::vector<char> NonfiniteLanes(int64_t element) override;
  void FetchAll() override {}
  std::function<void()> StartFetch() override {
    return [] {};
  }

 private:
  comm::Exchange& exchange() { return model_.exchange(); }
  const comm::Exchange& exchange() const { return model_.exchange(); }
  ExecutorPool& pool() { return executors().pool(); }
  void RunLanes(const StepWork& work);
  void AwaitLanes(const StepWork& work);
  void Reduce(const StepWork& work, const comm::Exchange::OnSlice& on_slice, bool share_at_once);
  double NormOfSums(const StepWork& work);
  void Share(const StepWork& work);
  double ReduceThenUpdate(const StepWork& work);
  double ReduceAndUpdate(const StepWork& work);
  void UpdateAtOnce(const StepWork& work, int bucket, ElementRange range, const comm::SliceSum& sum);
  void KeepSum(int bucket, ElementRange range, const comm::SliceSum& sum);
  void UpdateFromSums(const StepWork& work, float scale);
  template <typename Update>
  void Timed(profile::EventLog* log, int bucket, const Update& update);
  void AddLaneTimes(double step, StepTimes& times) const;
  optim::Optimizer::Slice SliceAt(int bucket, int64_t begin, std::span<const float> gradient);
  float* SumsOf(int bucket) { return sums_.As<float>().data() + state_.offset(bucket); }
  void NoteNonfinite(int64_t begin, std::span<const float> sum);
  double& ChunkSum(int64_t element) { return chunk_sums_[static_cast<size_t>(element / kChunkElements)]; }

  const optim::Optimizer& optimizer_;
  OwnedState& state_;
  HostModel model_;
  WeightCheck check_;
  const bool two_passes_;           ///< the sums are kept until all are known to be good
  std::vector<double> chunk_sums_;  ///< by chunk of the arena: sums of squares of owned chunks, then of all
  Buffer sums_;                     ///< with two passes: the summed gradient of owned slices, packed as in OwnedState
  double update_seconds_ = 0;       ///< of this step, behind this rank's lanes
  std::atomic<int64_t> nonfinite_{-1};  ///< first element of the owned sums that is not finite
};

}  // namespace lockstep::step
