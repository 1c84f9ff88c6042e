// Forward passes on one device, where nothing is trained.
#pragma once

#include "trainer/step/compute.h"
#include "trainer/step/device/device_model.h"

namespace lockstep::step {

class DeviceForward final : public ForwardCompute {
 public:
  /// Collective.
  explicit DeviceForward(const ComputeParts& parts) : ForwardCompute(parts), model_(parts) {}

  const comm::SliceMap& slices() const override { return model_.exchange().slices(); }
  std::span<float> weights() override { return model_.view(); }
  bool holds_weights() const override { return true; }
  void FetchWeights() override {
    model_.CopyWeightsToView();
    model_.AwaitStream("the copy of the device's weights");
  }
  void Store() override {
    model_.ShareOwnedOfView();
    model_.AwaitStream("the copy to the device");
  }
  void PrepareEvaluation() override { model_.lanes().PrepareEvaluation(); }
  LaneRecord Evaluate(int, const data::LaneBatch& block) override { return model_.lanes().Evaluate(block); }
  std::span<const std::byte> Output(int, const std::string& name) override { return model_.lanes().Output(name); }

 private:
  DeviceModel model_;
};

}  // namespace lockstep::step
