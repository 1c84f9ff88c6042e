// A small training run whose gradients depend on the weights, so that a rank which reads or writes at the wrong time
// changes the result; and the same run in a few plain loops, to compare with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/exchange.h"

namespace lockstep::comm {

struct Scenario {
  int lanes = 8;
  std::vector<int> executors = {1};  ///< of each rank
  int64_t elements = 11 * kChunkElements + 123;
  int64_t bucket = 2 * kChunkElements;
  int steps = 3;
  bool share_at_once = true;
  DType wire = DType::kF32;
  int64_t cut = 1000;  ///< slices are evaluated so many elements at a time
  /// Called by executors before each bucket: tests delay or fail here.
  std::function<void(int rank, int step, int bucket)> before_bucket = {};

  std::string ToString() const;
};

/// Lanes dealt to ranks, then to the executors of each rank; executors beyond a rank's lanes get none.
LanePlan MakePlan(int lanes, const std::vector<int>& executors);

/// The weights after the run, by the definition of the lane tree alone.
std::vector<float> ReferenceWeights(const Scenario& scenario);

/// This node's weights after the run through an Exchange. Collective.
std::vector<float> RunScenario(Communicator& comm, const Scenario& scenario);
/// This rank's weights after the run through a DeviceExchange on an emulated device, one executor a rank: gradients are
/// made on one stream, exchanged and applied on another. Collective.
std::vector<float> RunDeviceScenario(Communicator& comm, const Scenario& scenario);

uint64_t HashOf(const std::vector<float>& weights);

}  // namespace lockstep::comm
