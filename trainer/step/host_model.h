// A model in this host's memory: the exchange, whose arena the weights lie in; the programs that read them there, with
// packed copies that a rank's executors share; and what runs them, by executor.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "comm/exchange.h"
#include "trainer/engine/program.h"
#include "trainer/step/compute.h"
#include "trainer/step/lane_runner.h"

namespace lockstep::step {

class HostModel {
 public:
  /// Collective. Kernels are prepared on the executors, for as many as there are.
  explicit HostModel(const ComputeParts& parts);

  comm::Exchange& exchange() { return exchange_; }
  const comm::Exchange& exchange() const { return exchange_; }
  std::span<const std::unique_ptr<LaneRunner>> runners() const { return runners_; }
  LaneRunner& runner(int executor) { return *runners_[static_cast<size_t>(executor)]; }

  /// Bring the packed copies up to date that this rank's lanes take in `step`, or evaluations do. On the communicating
  /// thread, while no executor works.
  void PackForStep(uint64_t step);
  void PackForEvaluation();

 private:
  ProgramSet MakePrograms(const std::vector<std::shared_ptr<const engine::ProgramPlan>>& plans);
  void AddDue(const engine::PackedWeights& weights);
  void PackDue();

  const ComputeParts parts_;
  comm::Exchange exchange_;
  LanePrograms programs_;
  std::vector<std::unique_ptr<LaneRunner>> runners_;
  std::vector<engine::PackedCopy*> due_;  ///< to be packed
};

}  // namespace lockstep::step
