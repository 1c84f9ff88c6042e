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
#include <string>
#include <vector>

#include "trainer/step/compiled_model.h"

namespace lockstep::step {

class WeightCheck {
 public:
  explicit WeightCheck(CompiledModel& session) : session_(session) {}

  /// After a step: remembers what this rank's slices hold, for CheckOwned before the next update of theirs.
  void NoteOwned();
  /// Throws where `bucket`'s owned slice is not what NoteOwned saw. The first call after it for each bucket compares,
  /// others do nothing. The executors' update of other buckets may run meanwhile.
  void CheckOwned(int bucket, uint64_t step);
  /// Says that weights changed between steps `step` and the next, from element `element` on. Throws.
  [[noreturn]] void ThrowChanged(int64_t element, uint64_t step) const;
  /// Collective, after `step` finished steps: throws where a node's weights differ. Returns their hash
  /// (engine::HashWeights).
  uint64_t CompareHosts(uint64_t step);

 private:
  uint64_t HashSlice(ElementRange slice) const;
  std::string TensorsIn(ElementRange slice) const;
  [[noreturn]] void ThrowChangedIn(ElementRange slice, uint64_t step) const;
  std::string FindDifference();

  CompiledModel& session_;
  std::vector<uint64_t> written_;  ///< by bucket, of this rank's slices
  std::vector<char> pending_;      ///< by bucket: not compared yet
};

}  // namespace lockstep::step
