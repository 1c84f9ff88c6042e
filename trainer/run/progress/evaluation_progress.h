// How far an evaluation is, for a person who waits for it.
#pragma once

#include <chrono>
#include <string>

namespace lockstep::run {

class EvaluationProgress {
 public:
  struct Options {
    bool terminal = false;  ///< a line that redraws itself, instead of one every few seconds
    bool quiet = false;     ///< nothing
  };
  explicit EvaluationProgress(Options options) : options_(options) {}

  /// `share`: of the samples of `split`, 0 to 1. Says nothing in the first seconds: most evaluations are over by then.
  void Show(const std::string& split, double share);
  /// The evaluation is over: clears the line.
  void End();

 private:
  const Options options_;
  bool running_ = false, drawn_ = false;
  std::chrono::steady_clock::time_point begun_, shown_;
};

}  // namespace lockstep::run
