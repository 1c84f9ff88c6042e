#include "launch/scale/run_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "launch/scale/figures.h"

namespace lockstep::launch {
namespace {

constexpr uint64_t kPilotSteps = 30, kLeastSteps = 40;

std::string RowsPath(const std::string& folder) { return folder + "/runs.jsonl"; }

RunResult Pilot(StudyPoint point, const char* name, RunSetup setup) {
  point.name = name;
  setup.steps = setup.steps > 0 ? std::min(setup.steps, kPilotSteps) : kPilotSteps;
  setup.target.clear();
  const RunResult result = MeasureRun(point, 0, setup);
  if (!result.good())
    throw Error(
        ErrorKind::kUsage,
        fmt::format("a first run of {} rank{} failed: {}", point.ranks, point.ranks == 1 ? "" : "s", result.reason),
        setup.recipe, fmt::format("its words are in {}/runs/{}-0.log", setup.folder, name));
  return result;
}

std::string LineOf(const StudyPoint& point, const RunResult& result, size_t done, size_t all) {
  const std::string head =
      fmt::format("[{}/{}] {:<20} ", done, all, fmt::format("{} #{}", point.name, result.repeat + 1));
  if (!result.good()) return head + "FAILED: " + result.reason;
  return head + fmt::format("{:>11}/step  {:8.0f} samples/s{}", Milliseconds(result.seconds_per_step),
                            result.samples_per_s, result.weights.empty() ? "" : "  weights " + result.weights);
}

}  // namespace

uint64_t StepsFor(const StudyPoint& first, RunSetup setup, double seconds) {
  const RunResult result = Pilot(first, "pilot", std::move(setup));
  return std::max(kLeastSteps, static_cast<uint64_t>(std::ceil(seconds / result.seconds_per_step)));
}

int FastestLanes(const std::vector<int>& candidates, const StudyPoint& first, const RunSetup& setup) {
  int fastest = 0;
  double best = 0;
  for (const int lanes : candidates) {
    StudyPoint point = first;
    point.ranks = 1;
    point.settings.push_back(fmt::format("train.lanes={}", lanes));
    const RunResult result = Pilot(point, fmt::format("pilot-lanes{}", lanes).c_str(), setup);
    if (result.samples_per_s <= best) continue;
    best = result.samples_per_s;
    fastest = lanes;
  }
  return fastest;
}

std::vector<RunResult> RunStudy(const StudyFacts& facts, const RunSetup& setup,
                                const std::function<void(const std::string&)>& say) {
  FileSystem& files = FileSystem::Real();
  std::vector<RunResult> results = ReadResults(setup.folder);
  const std::vector<StudyRun> order = OrderOf(facts.points.size(), facts.request.repeats, facts.request.seed);
  size_t done = 0;
  for (const StudyRun& run : order) {
    ++done;
    const StudyPoint& point = facts.points[run.point];
    const auto is_it = [&](const RunResult& result) {
      return result.point == point.name && result.repeat == run.repeat;
    };
    if (std::any_of(results.begin(), results.end(), is_it)) continue;
    results.push_back(MeasureRun(point, run.repeat, setup));
    std::string rows;
    for (const RunResult& result : results) rows += FormatResult(result);
    WriteFileAtomically(files, RowsPath(setup.folder), rows);
    say(LineOf(point, results.back(), done, order.size()));
  }
  return results;
}

StudyFacts ReadFacts(const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  const std::string path = folder + "/study.json";
  if (!files.Exists(path))
    throw Error(ErrorKind::kUsage, "there is no study in it", folder, "name the --out folder of a lockstep scale");
  return ParseFacts(ReadWholeFile(files, path), path);
}

std::vector<RunResult> ReadResults(const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  return files.Exists(RowsPath(folder)) ? ParseResults(ReadWholeFile(files, RowsPath(folder)))
                                        : std::vector<RunResult>{};
}

}  // namespace lockstep::launch
