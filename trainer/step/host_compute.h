// Computing on the host's cores: lanes on executors, gradients and weights in memory that the ranks of a node share,
// the update of owned slices by all executors.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "comm/exchange.h"
#include "trainer/engine/program.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/job.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/compute.h"
#include "trainer/step/executor_pool.h"
#include "trainer/step/lane_runner.h"

namespace lockstep::step {

class HostCompute final : public Compute {
 public:
  /// Collective. Kernels are prepared on `pool`, for as many executors as it has. All four outlive this.
  HostCompute(const plan::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan, ExecutorPool& pool);

  const comm::SliceMap& slices() const override { return exchange_.slices(); }
  std::span<float> weights() override { return exchange_.weights(); }
  bool holds_weights() const override { return comm_.topology().local_rank() == 0; }
  Buffer AllocateView(size_t bytes) override { return Buffer(bytes); }
  void PrepareTraining(const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check) override;
  StepSums Step(const StepWork& work) override;
  void NoteWeights() override;
  std::vector<char> NonfiniteLanes(int64_t element) override;
  void PrepareEvaluation() override;
  LaneRecord Evaluate(int executor, const data::LaneBatch& block) override {
    return runners_[static_cast<size_t>(executor)]->Evaluate(block);
  }
  std::span<const std::byte> Output(int executor, const std::string& name) override {
    return runners_[static_cast<size_t>(executor)]->Output(name);
  }
  void Fetch(Part) override {}
  std::function<void()> StartFetch() override {
    return [] {};
  }
  void Store() override { exchange_.ShareNow(); }

 private:
  ProgramSet MakePrograms(const std::vector<std::shared_ptr<const engine::ProgramPlan>>& plans);
  void AddDue(const engine::PackedWeights& weights);
  void PackDue();
  void PackForStep(uint64_t step);
  void RunLanes(const StepWork& work);
  double ReduceThenUpdate(const StepWork& work);
  double ReduceAndUpdate(const StepWork& work);
  void UpdateAtOnce(const StepWork& work, int bucket, ElementRange range, const comm::SliceSum& sum);
  void UpdateFromSums(const StepWork& work, float scale);
  optim::Optimizer::Slice SliceAt(int bucket, int64_t begin, std::span<const float> gradient);
  void NoteNonfinite(int64_t begin, std::span<const float> sum);
  double& ChunkSum(int64_t element) { return chunk_sums_[static_cast<size_t>(element / kChunkElements)]; }

  const plan::Job& job_;
  comm::Communicator& comm_;
  const plan::JobPlans& plans_;
  const std::vector<LaneRange> lanes_;  ///< by executor of this rank
  ExecutorPool& pool_;
  comm::Exchange exchange_;
  LanePrograms programs_;
  std::vector<std::unique_ptr<LaneRunner>> runners_;

  const optim::Optimizer* optimizer_ = nullptr;
  OwnedState* state_ = nullptr;
  WeightCheck* check_ = nullptr;
  bool two_passes_ = false;               ///< the sums are kept until all are known to be good
  std::vector<double> chunk_sums_;        ///< by chunk of the arena: sums of squares of owned chunks, then of all
  std::vector<engine::PackedCopy*> due_;  ///< to be packed
  Buffer sums_;                       ///< with two passes: the summed gradient of owned slices, packed as in OwnedState
  std::vector<int64_t> sums_offset_;  ///< by bucket
  std::atomic<int64_t> nonfinite_{-1};  ///< first element of the owned sums that is not finite
};

}  // namespace lockstep::step
