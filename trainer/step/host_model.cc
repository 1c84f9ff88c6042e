#include "trainer/step/host_model.h"

#include <algorithm>
#include <atomic>

#include "trainer/step/run_on_executors.h"

namespace lockstep::step {

HostModel::HostModel(const ComputeParts& parts)
    : parts_(parts),
      exchange_(parts.executors.comm(),
                plan::MakeExchangeOptions(parts.config.train, parts.plans, parts.executors.plan())),
      programs_{MakePrograms(parts.plans.train), MakePrograms(parts.plans.evaluate), parts.plans, *parts.place.backend,
                static_cast<int>(parts.config.train.lanes())} {
  comm::Communicator& comm = parts.executors.comm();
  runners_.resize(static_cast<size_t>(parts.executors.size()));
  RunOnExecutors(comm, parts.executors.pool(), "the preparation of kernels", [&](int e) {
    const auto index = static_cast<size_t>(e);
    runners_[index] =
        std::make_unique<LaneRunner>(programs_, exchange_, &comm.recorder(), e, parts_.executors.runs()[index]);
  });
}

ProgramSet HostModel::MakePrograms(const std::vector<std::shared_ptr<const engine::ProgramPlan>>& plans) {
  ProgramSet set{plans, {}};
  for (const auto& plan : plans)
    set.packed.push_back(std::make_unique<engine::PackedWeights>(*plan, parts_.plans.layout, *parts_.place.backend,
                                                                 exchange_.weights().data(), std::span<std::byte>(),
                                                                 set.packed));
  return set;
}

void HostModel::AddDue(const engine::PackedWeights& weights) {
  for (const auto& copy : weights.copies()) due_.push_back(copy.get());
}

void HostModel::PackDue() {
  std::sort(due_.begin(), due_.end());
  due_.erase(std::unique(due_.begin(), due_.end()), due_.end());
  if (due_.empty()) return;
  std::atomic<size_t> next{0};
  RunOnExecutors(parts_.executors.comm(), parts_.executors.pool(), "the packing of weights", [&](int) {
    for (size_t index = next++; index < due_.size(); index = next++) due_[index]->Pack();
  });
  due_.clear();
}

void HostModel::PackForStep(uint64_t step) {
  const LaneRange lanes = parts_.executors.lanes();
  data::LaneSamples samples;
  for (int lane = lanes.begin; lane < lanes.end; ++lane) {
    if (parts_.batches.shapes().size() > 1) parts_.batches.Lane(step, lane, samples);
    AddDue(*programs_.train.packed[static_cast<size_t>(parts_.plans.TrainProgram(step, samples.shape))]);
  }
  PackDue();
}

void HostModel::PackForEvaluation() {
  for (const auto& weights : programs_.evaluate.packed) AddDue(*weights);
  PackDue();
}

}  // namespace lockstep::step
