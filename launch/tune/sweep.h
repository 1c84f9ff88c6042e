// A sweep: trials of a recipe with other settings, some of which are stopped early. Every decision is a pure function
// of the seed and of results, so that it does not hang on how many trials run side by side, nor on who is faster.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launch/tune/halving.h"
#include "launch/tune/search_space.h"

namespace lockstep::launch {

enum class SearchKind : uint8_t { kGrid, kRandom, kTpe };
const char* Name(SearchKind kind);

struct SweepRequest {
  std::vector<Dimension> space = {};
  SearchKind search = SearchKind::kRandom;
  int trials = 0;           ///< of kGrid: all
  int points = 4;           ///< of a range in a grid
  int generation = 8;       ///< trials that kTpe suggests by the same results: those of earlier generations
  int eta = 0;              ///< of early stopping; 0: trials run to their ends
  uint64_t first_rung = 0;  ///< steps
  uint64_t total_steps = 0;
  std::string measure = {};  ///< "accuracy", "loss"
  std::string split = {};    ///< that it is of
  bool falls = false;        ///< smaller is better
  uint64_t seed = 0;
  int best = 3;   ///< of the best so many are run again ...
  int seeds = 0;  ///< ... with so many other seeds
};

/// A trial as it stands in trials.jsonl.
struct Trial {
  enum class State : uint8_t { kWaiting, kDone, kStopped, kFailed };
  int number = 0;
  int repeat_of = -1;  ///< of a run with another seed: the trial that it repeats
  Units units = {};
  std::vector<std::string> settings = {};
  State state = State::kWaiting;
  std::vector<double> rungs = {};  ///< values at rungs, as they are compared: smaller is better
  double value = 0;                ///< at the end; of kDone alone, as the measure says it
  std::string weights = {}, reason = {};
  double seconds = 0;

  bool over() const { return state != State::kWaiting; }
};
const char* Name(Trial::State state);
std::string FormatTrial(const Trial& trial);
std::vector<Trial> ParseTrials(const std::string& text);

/// Trial `number` of the request, by the results of trials of earlier generations. REQUIRES: these are over.
Trial MakeTrial(const SweepRequest& request, int number, const std::vector<Trial>& earlier);
/// How many trials there are.
int TrialCount(const SweepRequest& request);
/// Whether what decides trial `number` is known.
bool CanBegin(const SweepRequest& request, int number, const std::vector<Trial>& trials);

/// Numbers of the trials that are done, the best first; of equals the lower number.
std::vector<int> Ranking(const SweepRequest& request, const std::vector<Trial>& trials);

/// How much of the variance of the trials' ranks each field explains by itself, 0 to 1: of values in up to four groups.
/// Of trials that are done; empty of fewer than eight.
std::map<std::string, double> Importance(const SweepRequest& request, const std::vector<Trial>& trials);

}  // namespace lockstep::launch
