// Computing on one GPU: lanes as captured work (device_lanes.h), sums and updates of owned slices by kernels, the
// exchange between devices bucket by bucket beside the rest of the last lane's backward pass.
//
// A step is enqueued as a whole; the host waits once, at its end. Weights and owned state live on the device. The
// host's view of the weights is this rank's alone.
#pragma once

#include <memory>
#include <vector>

#include "base/device.h"
#include "comm/device_exchange.h"
#include "trainer/plan/job.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/compute.h"
#include "trainer/step/device_kit.h"
#include "trainer/step/device_lanes.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::step {

class DeviceCompute final : public Compute {
 public:
  /// Collective. `pool` has one executor: the thread that enqueues lanes. All outlive this; job.device is not null.
  DeviceCompute(const plan::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan, ExecutorPool& pool);
  ~DeviceCompute() override;

  const comm::SliceMap& slices() const override { return exchange_.slices(); }
  std::span<float> weights() override { return {view_->As<float>(), view_->size() / sizeof(float)}; }
  bool holds_weights() const override { return true; }
  Buffer AllocateView(size_t bytes) override;
  void PrepareTraining(const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check) override;
  StepSums Step(const StepWork& work) override;
  void NoteWeights() override;
  std::vector<char> NonfiniteLanes(int64_t element) override;
  void PrepareEvaluation() override { lanes_->PrepareEvaluation(); }
  LaneRecord Evaluate(int, const data::LaneBatch& block) override { return lanes_->Evaluate(block); }
  std::span<const std::byte> Output(int, const std::string& name) override { return lanes_->Output(name); }
  void Fetch(Part part) override;
  std::function<void()> StartFetch() override;
  void Store() override;

 private:
  /// What the device reads and writes besides arenas, in one piece on either side.
  struct Tables {
    std::unique_ptr<DeviceMemory> device, pinned;
  };

  optim::DeviceSlice SliceOf(int bucket) const;
  optim::ChunkRecord* ChunksAt(int64_t element) const;
  uint64_t* HashesAt(int64_t element) const;
  optim::PieceSum SumOf(int bucket) const;
  void UploadRules(const StepWork& work);
  void EnqueueUpdates(const StepWork& work);
  void EnqueueComparison();
  void EnqueueConclusion();
  void AwaitLanes(uint64_t step, uint64_t collective);
  void CheckWeights(uint64_t step, const optim::StepOutcome& outcome);
  void ShareChunks();
  void AwaitReaders() const;
  void AwaitExchange(const StepWork& work);
  void AwaitStream(const std::string& what);

  const plan::Job& job_;
  comm::Communicator& comm_;
  const plan::JobPlans& plans_;
  ExecutorPool& pool_;
  DeviceKit& kit_;
  std::unique_ptr<comm::DeviceTransport> transport_;
  comm::DeviceExchange exchange_;
  std::unique_ptr<DeviceStream> stream_;  ///< exchange and update
  std::unique_ptr<DeviceEvent> done_;
  std::unique_ptr<DeviceStream> snapshots_;  ///< StartFetch's copies
  std::unique_ptr<DeviceEvent> fetched_;     ///< the last of them; recorded there
  std::unique_ptr<DeviceMemory> view_;       ///< pinned
  std::unique_ptr<DeviceLanes> lanes_;

  const optim::Optimizer* optimizer_ = nullptr;
  OwnedState* state_ = nullptr;
  WeightCheck* check_ = nullptr;
  bool two_passes_ = false;  ///< the sums are kept until all are known to be good
  int segments_ = 0;
  Tables rules_;                          ///< SegmentRules of the step
  Tables outcome_;                        ///< StepOutcome
  std::unique_ptr<DeviceMemory> chunks_;  ///< ChunkRecord by chunk of the arena
  std::unique_ptr<DeviceMemory> hashes_;  ///< of owned chunks, as NoteWeights saw them
  bool weights_noted_ = false;
  std::unique_ptr<DeviceMemory> sums_;                 ///< with two passes: of owned slices, packed as in OwnedState
  std::vector<std::unique_ptr<DeviceMemory>> arrays_;  ///< owned state, by array, packed as in OwnedState
  std::vector<int64_t> offset_;                        ///< by bucket, in packed arrays
};

}  // namespace lockstep::step
