// What a scaling study measures: points, each of which is a recipe with settings on a number of ranks, and the order in
// which their runs take turns. A pure function of what was asked for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {

/// What stays the same from point to point.
enum class StudyMode : uint8_t {
  kStrong,      ///< the recipe: the same steps, the same weights; ranks share a step's lanes
  kWeak,        ///< samples of a rank: lanes and batch grow with the ranks
  kThroughput,  ///< ranks: the batch grows
};
const char* Name(StudyMode mode);

/// How the learning rate follows a batch that grows.
enum class RateRule : uint8_t { kNone, kLinear, kSquareRoot };
const char* Name(RateRule rule);

/// --vary FIELD=A,B: one point for each value.
struct Varied {
  std::string field = {};
  std::vector<std::string> values = {};
};
/// Of "optimizer.learning_rate=0.1,0.2"; commas inside brackets, braces and quotes part nothing. Throws Error(kUsage).
Varied ParseVaried(const std::string& text);
/// All combinations of their values, as settings for --set; of none one without settings.
std::vector<std::vector<std::string>> CombinationsOf(const std::vector<Varied>& varied);
/// Of "1,2,4" or "1-4": ascending, each once, at least 1. Throws Error(kUsage) naming `option`.
std::vector<int> ParseCounts(const std::string& text, const std::string& option);

struct StudyRequest {
  StudyMode mode = StudyMode::kStrong;
  std::vector<int> ranks = {1};
  std::vector<uint64_t> batches = {};  ///< of kThroughput
  RateRule rate = RateRule::kNone;
  std::vector<Varied> varied = {};
  std::vector<int> base_lanes = {};  ///< lanes that are tried at one rank, for the fastest base
  std::string against = "";          ///< a command of a peer; {ranks}, {executors}, {steps} and {batch} are filled in
  int repeats = 5;
  uint64_t steps = 0;  ///< of each run
  uint64_t seed = 0;
  int executors = 0;  ///< of each rank, at every point; 0: what its host gives it, more where there are fewer ranks
};

struct StudyPoint {
  enum class Role : uint8_t {
    kPoint,
    kTwin,  ///< the first point once more: how far equal things differ
    kBase,  ///< one rank with other lanes
    kPeer,  ///< somebody else's program
  };
  std::string name = {};  ///< of its folders: "r4", "r4-lr0.1", "twin"
  Role role = Role::kPoint;
  int ranks = 1;
  uint64_t global_batch = 0;
  std::vector<std::string> settings = {};  ///< for --set
  std::string variant = "";                ///< what of --vary it has: "optimizer.learning_rate=0.1"; empty: nothing
  std::string command = "";                ///< of a peer

  bool operator==(const StudyPoint&) const = default;
};

/// `recipe` is resolved. Throws Error(kUsage) where a point can't be: more ranks than lanes, a batch that lanes don't
/// divide, no points.
std::vector<StudyPoint> PointsOf(const StudyRequest& request, const Recipe& recipe);

struct StudyRun {
  size_t point = 0;
  int repeat = 0;

  bool operator==(const StudyRun&) const = default;
};
/// Every point once in each round, in an order that the seed draws anew for each: what drifts over a study drifts over
/// all points.
std::vector<StudyRun> OrderOf(size_t points, int repeats, uint64_t seed);

}  // namespace lockstep::launch
