// Keeps what a model answers in an evaluation, sample by sample, for who looks at single answers afterwards: an
// evaluation and nothing more, on all ranks.
//
//   AnswerKeeper keeper("logits", classes);
//   job.make_scorer = keeper.Keep(job.make_scorer);
//   ... the evaluation of a split ...
//   keeper.Collect(comm, [&](uint64_t sample, std::string_view answer) { ... });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "comm/communicator.h"
#include "trainer/evaluate/scorer.h"

namespace lockstep::evaluate {

/// Scorers of one split at a time. It outlives them.
class AnswerKeeper {
 public:
  /// Keeps `width` values of the evaluation program's output of that name for each sample; of width 0 the texts that
  /// scorers tell of (Scorer::TellTexts).
  explicit AnswerKeeper(std::string output = "", size_t width = 0) : output_(std::move(output)), width_(width) {}

  /// `inner`, which may be null, with answers kept.
  ScorerFactory Keep(ScorerFactory inner);
  std::shared_ptr<Scorer> Keep(std::shared_ptr<Scorer> inner);

  /// Collective. Hands rank 0 what all ranks kept since the last time, each sample's answer once, in any order: the
  /// bytes of `width` floats, or a text.
  void Collect(comm::Communicator& comm, const std::function<void(uint64_t sample, std::string_view answer)>& take);

 private:
  class KeepingScorer;
  void Add(uint64_t sample, std::string_view answer) EXCLUDES(mutex_);

  const std::string output_;
  const size_t width_;
  Mutex mutex_;
  std::string kept_ GUARDED_BY(mutex_);  ///< of each answer the sample, its length and its bytes
};

}  // namespace lockstep::evaluate
