#include "launch/profile/profiled_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

using profile::Event;

constexpr char kHint[] =
    "lockstep profile RECIPE makes a run and its profile; a run of its own needs profile { steps: 20 }";

records::RankProfile ReadRank(FileSystem& files, const std::string& path) {
  if (!files.Exists(path)) throw Error(ErrorKind::kUsage, "is not there: a rank's part of the profile", path, kHint);
  return records::ParseProfile(ReadWholeFile(files, path), path);
}

/// Those that last longer first, where several begin at the same moment.
bool ComesFirst(const Event& a, const Event& b) {
  return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns : a.end_ns > b.end_ns;
}

}  // namespace

int64_t OnClockOfRankZero(const records::ClockReading& before, const records::ClockReading& after, int64_t local_ns) {
  const int64_t between = after.at_ns - before.at_ns;
  if (between <= 0) return local_ns + before.offset_ns;
  const double share =
      std::clamp(static_cast<double>(local_ns - before.at_ns) / static_cast<double>(between), 0.0, 1.0);
  return local_ns + before.offset_ns + std::llround(share * static_cast<double>(after.offset_ns - before.offset_ns));
}

int64_t ProfiledRun::ClockErrorOf(const records::RankProfile& rank) {
  return std::max(rank.before.error_ns, rank.after.error_ns);
}

ProfiledRun Align(std::vector<records::RankProfile> ranks) {
  CHECK(!ranks.empty());
  int64_t origin = std::numeric_limits<int64_t>::max();
  for (records::RankProfile& rank : ranks)
    for (records::ProfiledThread& thread : rank.threads) {
      for (Event& event : thread.events) {
        event.begin_ns = OnClockOfRankZero(rank.before, rank.after, event.begin_ns);
        event.end_ns = std::max(event.begin_ns, OnClockOfRankZero(rank.before, rank.after, event.end_ns));
        origin = std::min(origin, event.begin_ns);
      }
      std::stable_sort(thread.events.begin(), thread.events.end(), ComesFirst);
    }
  for (records::RankProfile& rank : ranks)
    for (records::ProfiledThread& thread : rank.threads)
      for (Event& event : thread.events) {
        event.begin_ns -= origin;
        event.end_ns -= origin;
      }
  return {std::move(ranks)};
}

ProfiledRun ReadProfiledRun(FileSystem& files, const std::string& folder) {
  const records::RunFolder run(files, folder);
  if (!files.Exists(run.profile(0)))
    throw Error(ErrorKind::kUsage, "no steps of this run were profiled, or none yet", folder, kHint);
  std::vector<records::RankProfile> ranks{ReadRank(files, run.profile(0))};
  for (int rank = 1; rank < ranks.front().world_size; ++rank) {
    ranks.push_back(ReadRank(files, run.profile(rank)));
    const records::RankProfile &first = ranks.front(), &other = ranks.back();
    if (other.attempt != first.attempt || other.rank != rank || other.first_step != first.first_step ||
        other.steps != first.steps)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("is of other steps than rank 0's: those of attempt {}, not {}", other.attempt, first.attempt),
          run.profile(rank), "wait until the attempt has ended that is under way, or profile again");
  }
  if (ranks.front().rank != 0 || ranks.front().steps == 0)
    throw Error(ErrorKind::kUsage, "is no profile of rank 0", run.profile(0), kHint);
  return Align(std::move(ranks));
}

}  // namespace lockstep::launch
