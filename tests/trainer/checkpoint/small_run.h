// A run without training: some arrays of numbers, cut among ranks at random, written and read as the loop does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::checkpoint {

struct SmallRun {
  /// Array 0 is "weights", the others "state1", ...; all values are distinct and follow from `seed`.
  SmallRun(int arrays, int64_t elements, uint64_t seed);

  std::vector<std::vector<float>> arrays;
  int64_t elements = 0;
  /// What steps and hosts are named after; a rank may own nothing.
  uint64_t seed = 0;

  /// Owned ranges of each of `ranks` ranks: several uneven runs each, edges at multiples of `grain`.
  std::vector<std::vector<OwnedRange>> Cut(int ranks, int64_t grain) const;
  /// A manifest without files: tensors "a.weight" [2, 2] at 0, "b.weight" [4] at 4, and the statistic "b.mean" [2] at
  /// 8, as far as they fit.
  Manifest Describe(uint64_t step, uint32_t attempt, uint32_t ranks) const;
  /// Writes a whole checkpoint into `checkpoints`/step-...; returns the folder. `shared`: the number of files (0: one a
  /// rank).
  std::string Write(FileSystem& files, const std::string& checkpoints, uint64_t step, uint32_t attempt, int ranks,
                    int64_t grain = 4096, uint32_t shared = 0) const;
};

/// A path for a real folder that no other process uses.
std::string ScratchFolder(const std::string& name);

/// All of `array` as it is in the checkpoint.
std::vector<float> ReadArray(const Reader& reader, int array);

/// The message of the Error that `action` throws, which must be of kind kCheckpoint; "no error" where there is none.
template <typename Action>
std::string CheckpointErrorOf(Action&& action);

/// The bytes of `manifest` sealed by its hash but otherwise unchecked: whatever version and content it has.
std::string Seal(Manifest manifest);

}  // namespace lockstep::checkpoint

#include "base/error.h"

template <typename Action>
std::string lockstep::checkpoint::CheckpointErrorOf(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::kCheckpoint ? error.what()
                                                  : std::string("another kind of error: ") + error.what();
  }
  return "no error";
}
