// times.json: where the time of a start's steps went, rank by rank, for reports and for scaling studies. Written by
// rank 0 when training ends or is stopped; the first steps, in which programs and memory are made ready, are left out.
//
//   {"version":1,"attempt":1,"first_step":10,"seconds":2.5,"samples":19000,"step_seconds":[0.0131,...],
//    "ranks":[{"host":"h1","phases":{"backward":1.2,"data":0.01,...},"lanes":2.1,"slowest":75,"sent_bytes":81264640},...]}
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::records {

struct RankTimes {
  std::string host;
  /// Seconds in all: "prepare", "data", "forward", "backward", "update", "exchange" (step::StepTimes).
  std::map<std::string, double> phases = {};
  double lanes = 0;         ///< seconds of its executors' lanes
  uint64_t slowest = 0;     ///< steps in which they took longer than those of any other rank
  uint64_t sent_bytes = 0;  ///< in messages to other ranks
};

struct TimesRecord {
  uint32_t attempt = 0;
  uint64_t first_step = 0;  ///< the steps behind it are counted
  double seconds = 0;       ///< of these steps, without evaluations and checkpoints
  uint64_t samples = 0;
  std::vector<double> step_seconds = {};  ///< of each, of long runs of the first kMostSteps
  std::vector<RankTimes> ranks = {};

  static constexpr size_t kMostSteps = 10000;
  uint64_t steps = 0;
};

std::string FormatTimes(const TimesRecord& times);
/// Nothing where `text` is none, or of another version.
std::optional<TimesRecord> ParseTimes(std::string_view text);

}  // namespace lockstep::records
