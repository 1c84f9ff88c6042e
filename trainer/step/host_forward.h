// Forward passes on the host's cores, where nothing is trained.
#pragma once

#include "trainer/step/compute.h"
#include "trainer/step/host_model.h"

namespace lockstep::step {

class HostForward final : public ForwardCompute {
 public:
  /// Collective.
  explicit HostForward(const ComputeParts& parts) : ForwardCompute(parts), model_(parts) {}

  const comm::SliceMap& slices() const override { return model_.exchange().slices(); }
  std::span<float> weights() override { return model_.exchange().weights(); }
  bool holds_weights() const override { return comm().topology().local_rank() == 0; }
  void FetchWeights() override {}
  void Store() override { model_.exchange().ShareNow(); }
  void PrepareEvaluation() override { model_.PackForEvaluation(); }
  LaneRecord Evaluate(int executor, const data::LaneBatch& block) override {
    return model_.runner(executor).Evaluate(block);
  }
  std::span<const std::byte> Output(int executor, const std::string& name) override {
    return model_.runner(executor).Output(name);
  }

 private:
  HostModel model_;
};

}  // namespace lockstep::step
