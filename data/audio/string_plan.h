// Which recordings make which sample where speech is joined to strings: a pure function of (seed, epoch, id).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::data {

struct StringPlanOptions {
  int least = 1, most = 1;  ///< recordings of a string
  int rounds = 1;           ///< each recording stands in so many strings
  uint64_t seed = 0;
};

/// Strings of recordings of one speaker. How many each holds is drawn once, so that their number is the same in all
/// epochs; a speaker's last may be shorter than `least`. Which recordings is drawn anew for each epoch and round, by a
/// keyed permutation (sampler.h) of the speaker's.
class StringPlan {
 public:
  /// `speakers[s]` are the recordings of speaker s; none is empty. REQUIRES: 1 <= least <= most, rounds >= 1.
  StringPlan(std::vector<std::vector<uint32_t>> speakers, const StringPlanOptions& options);

  uint64_t size() const { return strings_.size(); }
  int Count(uint64_t id) const { return static_cast<int>(strings_[id].count); }
  /// Recording `index` (from 0, below Count) of string `id`.
  uint32_t Recording(uint64_t epoch, uint64_t id, int index) const;
  /// Whose recordings, all different ones, string `id` is made of.
  uint32_t Speaker(uint64_t id) const { return strings_[id].speaker; }

 private:
  struct String {
    uint32_t speaker, round, first, count;  ///< positions [first, first + count) of the speaker's permutation
  };
  std::vector<std::vector<uint32_t>> speakers_;
  std::vector<String> strings_;
  uint64_t seed_;
};

}  // namespace lockstep::data
