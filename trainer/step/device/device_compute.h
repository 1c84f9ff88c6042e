// Computing on one GPU: lanes as captured work (device_lanes.h), sums and updates of owned slices by kernels, the
// exchange between devices bucket by bucket beside the rest of the last lane's backward pass.
//
// A step is enqueued as a whole; while the device works on it, the next one's first batch goes up, and its first lane
// is enqueued behind the update: the device does not wait for the host between steps. Nothing that is decided between
// steps changes that lane's weights; where the next step never comes, its gradient is not used. Weights and owned state
// live on the device. The host's view of the weights is this rank's alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/device.h"
#include "comm/device/device_exchange.h"
#include "trainer/optim/optimizer.h"
#include "trainer/step/compute.h"
#include "trainer/step/device/device_model.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/weight_check.h"

namespace lockstep::step {

class DeviceCompute final : public Compute {
 public:
  /// Collective. `parts` as DeviceModel's. `optimizer` and `state`, whose arrays begin with the optimizer's, outlive
  /// this.
  DeviceCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state);
  ~DeviceCompute() override;

  const comm::SliceMap& slices() const override { return exchange().slices(); }
  std::span<float> weights() override { return model_.view(); }
  bool holds_weights() const override { return true; }
  void FetchWeights() override;
  void Store() override;
  void PrepareEvaluation() override { model_.lanes().PrepareEvaluation(); }
  LaneRecord Evaluate(int, const data::LaneBatch& block) override { return model_.lanes().Evaluate(block); }
  std::span<const std::byte> Output(int, const std::string& name) override { return model_.lanes().Output(name); }
  StepSums Step(const StepWork& work) override;
  void NoteWeights() override;
  uint64_t CompareHosts(uint64_t step) override;
  std::vector<char> NonfiniteLanes(int64_t element) override;
  void FetchAll() override;
  std::function<void()> StartFetch() override;

 private:
  /// What of the next step has been begun in this one.
  enum class Ahead { kNothing, kStaging, kEnqueued };
  /// What the device reads and writes besides arenas, in one piece on either side.
  struct Tables {
    std::unique_ptr<DeviceMemory> device, pinned;
  };

  DeviceKit& kit() { return model_.kit(); }
  lockstep::Device& device() { return *model_.kit().device; }
  comm::DeviceExchange& exchange() { return model_.exchange(); }
  const comm::DeviceExchange& exchange() const { return model_.exchange(); }
  DeviceStream& stream() { return model_.stream(); }
  optim::DeviceSlice SliceOf(int bucket) const;
  bool Owns(int64_t element) const;
  float* SumsOf(int bucket) const { return sums_->As<float>() + state_.offset(bucket); }
  optim::ChunkRecord* ChunksAt(int64_t element) const;
  uint64_t* HashesAt(int64_t element) const;
  optim::PieceSum SumOf(int bucket) const;
  void UploadRules(const StepWork& work);
  void EnqueueUpdates(const StepWork& work);
  void EnqueueComparison();
  void EnqueueConclusion(const StepWork& work);
  void LookAhead(const StepWork& work);
  void Await(DeviceEvent& event, const StepWork& work, const std::string& what);
  void AwaitLanes(const StepWork& work, uint64_t collective);
  void CheckWeights(uint64_t step, const optim::StepOutcome& outcome);
  void ShareChunks();
  void AwaitExchange(const StepWork& work);

  const optim::Optimizer& optimizer_;
  OwnedState& state_;
  const bool two_passes_;  ///< the sums are kept until all are known to be good
  const int segments_;
  DeviceModel model_;
  WeightCheck check_;
  std::unique_ptr<DeviceStream> snapshots_;  ///< StartFetch's copies
  std::unique_ptr<DeviceEvent> fetched_;     ///< the last of them; recorded there
  Tables rules_;                             ///< SegmentRules of the step
  Tables outcome_;                           ///< StepOutcome
  std::unique_ptr<DeviceMemory> chunks_;     ///< ChunkRecord by chunk of the arena
  std::unique_ptr<DeviceMemory> hashes_;     ///< of owned chunks, as NoteWeights saw them
  bool weights_noted_ = false;
  Ahead ahead_ = Ahead::kNothing;
  bool update_enqueued_ = false;                       ///< this step's
  std::unique_ptr<DeviceMemory> sums_;                 ///< with two passes: of owned slices, packed as in OwnedState
  std::vector<std::unique_ptr<DeviceMemory>> arrays_;  ///< owned state, by array, packed as in OwnedState
};

}  // namespace lockstep::step
