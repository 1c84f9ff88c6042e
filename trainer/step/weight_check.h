// Weights in memory are compared with what their owners wrote, every so many steps (train.certificate_every_steps): a
// sample, which finds a memory that fails again and again, and all of its flipped bits only where every step is looked
// at.
//
// Two comparisons. Right before an update, an owner's slices still hold what it wrote a step ago (their copy is the
// master). After the update, all nodes hold the same weights as the first; where one does not, its slices are compared
// with the owners'. Either difference is Error(kPeer), naming rank, host and tensor: start again from the last
// checkpoint.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/slice_map.h"
#include "trainer/engine/parameter_layout.h"

namespace lockstep::step {

class WeightCheck {
 public:
  /// What is looked at: this rank's view of the arena's weights, and whether it holds them: ranks of a host may share
  /// one view, which then one of them holds. All that this refers to outlives it.
  struct Weights {
    const engine::ParameterLayout& layout;
    const comm::SliceMap& slices;
    std::span<const float> view;
    bool holds = true;
  };
  WeightCheck(comm::Communicator& comm, const Weights& weights) : comm_(comm), weights_(weights) {}

  /// After a step: remembers what this rank's slices hold, for CheckOwned before the next update of theirs.
  void NoteOwned();
  /// Throws where `bucket`'s owned slice is not what NoteOwned saw. The first call after it for each bucket compares,
  /// others do nothing. The executors' update of other buckets may run meanwhile.
  void CheckOwned(int bucket, uint64_t step);
  /// Says that weights changed between steps `step` and the next, from element `element` on. Throws.
  [[noreturn]] void ThrowChanged(int64_t element, uint64_t step) const;
  /// Collective, after `step` finished steps: throws where a host's weights differ. Returns their hash
  /// (engine::HashWeights).
  uint64_t CompareHosts(uint64_t step);

 private:
  uint64_t HashSlice(ElementRange slice) const;
  std::string TensorsIn(ElementRange slice) const;
  [[noreturn]] void ThrowChangedIn(ElementRange slice, uint64_t step) const;
  std::string FindDifference();

  comm::Communicator& comm_;
  const Weights weights_;
  std::vector<uint64_t> written_;  ///< by bucket, of this rank's slices
  std::vector<char> pending_;      ///< by bucket: not compared yet
};

}  // namespace lockstep::step
