#include "launch/scale/measure_run.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <regex>

#include "base/error.h"
#include "base/files/file.h"
#include "base/json_fields.h"
#include "launch/scale/run_to_end.h"
#include "launch/scale/statistics.h"
#include "launch/supervise/launcher/own_program.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string ReadIfThere(const std::string& path) {
  FileSystem& files = FileSystem::Real();
  return files.Exists(path) ? ReadWholeFile(files, path) : "";
}

/// What a run that failed says: its verdict, or the last words of its output.
std::string ReasonOf(const std::string& folder, const std::string& output, int code) {
  const std::optional<records::AttemptEnding> ending = records::ParseEnding(ReadIfThere(folder + "/verdict.json"));
  if (ending && ending->exit_code != 0) return (ending->where.empty() ? "" : ending->where + ": ") + ending->message;
  const std::string last = LastLine(output);
  return last.empty() ? fmt::format("it ended with {} and no word", code) : last;
}

/// "weights=0123456789abcdef" of a done line.
std::string WeightsIn(const std::string& line) {
  constexpr char kName[] = " weights=";
  const size_t at = line.find(kName);
  if (at == std::string::npos) return "";
  const size_t begin = at + sizeof kName - 1;
  return line.substr(begin, line.find(' ', begin) - begin);
}

/// Of a run's rows: when the target was first reached, from the beginning of training on, and joules by sample.
void ReadRows(const std::string& folder, const std::string& target, RunResult& result) {
  std::vector<double> joules;
  double begin = 0;
  const std::vector<Json> rows = ParseJsonRows(ReadIfThere(folder + "/metrics.jsonl"));
  if (const std::optional<records::TimesRecord> times = records::ParseTimes(ReadIfThere(folder + "/times.json"));
      times && !rows.empty()) {
    // The first row is that many steps behind the beginning.
    const double steps = NumberOr(rows.front(), "step");
    begin = NumberOr(rows.front(), "time") -
            steps * times->seconds / static_cast<double>(std::max<uint64_t>(1, times->steps));
  }
  for (const Json& row : rows) {
    if (const double j = NumberOr(row, "joules_per_sample", -1); j >= 0) joules.push_back(j);
    if (target.empty() || result.target_seconds > 0 || !row.contains("split")) continue;
    const Target wanted = ParseTarget(target);
    const auto value = row.find(wanted.measure);
    if (value == row.end() || !value->is_number()) continue;
    const double reached = value->get<double>();
    if (wanted.falls ? reached <= wanted.value : reached >= wanted.value)
      result.target_seconds = NumberOr(row, "time") - begin;
  }
  if (!joules.empty()) result.joules_per_sample = Median(joules);
}

void ReadRun(const std::string& folder, const RunSetup& setup, RunResult& result) {
  const std::optional<records::RunDone> done = records::ParseDone(ReadIfThere(folder + "/done.json"));
  const std::optional<records::TimesRecord> times = records::ParseTimes(ReadIfThere(folder + "/times.json"));
  if (!done || !times || times->steps == 0) {
    result.exit_code = 1;
    result.reason = "it says nothing of its steps: times.json is missing";
    return;
  }
  result.weights = WeightsIn(done->line);
  result.steps = times->steps;
  result.seconds_per_step = times->seconds / static_cast<double>(times->steps);
  result.samples_per_s = times->seconds > 0 ? static_cast<double>(times->samples) / times->seconds : 0;
  result.ranks = times->ranks;
  ReadRows(folder, setup.target, result);
}

std::vector<std::string> WordsFor(const StudyPoint& point, const RunSetup& setup, const std::string& folder) {
  std::vector<std::string> words{OwnProgram(),
                                 "run",
                                 "-n",
                                 std::to_string(point.ranks),
                                 setup.recipe,
                                 "--out",
                                 folder,
                                 "--fresh",
                                 "--progress",
                                 "off",
                                 "--max-restarts",
                                 "0"};
  words.insert(words.end(), setup.launcher.begin(), setup.launcher.end());
  if (setup.executors > 0) words.insert(words.end(), {"--executors", std::to_string(setup.executors)});
  const auto set = [&](const std::string& setting) { words.insert(words.end(), {"--set", setting}); };
  for (const char* setting : {"metrics.tensorboard=false", "checkpoint.every_steps=0", "checkpoint.every_minutes=0"})
    set(setting);
  if (setup.target.empty()) {
    set(fmt::format("train.steps={}", setup.steps));
    set("train.epochs=0");
    set("evaluate.samples=1");  // at the end alone, and of no interest
    set(fmt::format("train.evaluate_every_steps={}", setup.steps));
  }
  for (const std::string& setting : setup.settings) set(setting);
  for (const std::string& setting : point.settings) set(setting);
  return words;
}

RunResult MeasurePeer(const StudyPoint& point, RunResult result, const std::string& log) {
  result.exit_code = RunToEnd({"sh", "-c", point.command}, log);
  const std::string output = ReadIfThere(log);
  if (result.exit_code != 0) {
    result.reason = ReasonOf("", output, result.exit_code);
    return result;
  }
  result.samples_per_s = PrintedRate(output);
  if (result.samples_per_s <= 0) {
    result.exit_code = 1;
    result.reason = "the peer printed no rate, such as samples_per_s=812.5 or 812 items/s";
    return result;
  }
  result.seconds_per_step = static_cast<double>(point.global_batch) / result.samples_per_s;
  return result;
}

}  // namespace

Target ParseTarget(const std::string& text) {
  const size_t equals = text.find('=');
  char* end = nullptr;
  const double value = equals == std::string::npos ? 0 : std::strtod(text.c_str() + equals + 1, &end);
  if (equals == std::string::npos || equals == 0 || end == text.c_str() + equals + 1 || *end != '\0')
    throw Error(ErrorKind::kUsage, fmt::format("'{}' is not MEASURE=VALUE", text), "--target",
                "for example --target accuracy=0.97 or --target loss=0.5");
  const std::string measure = text.substr(0, equals);
  const bool falls = measure == "loss" || measure == "perplexity" || measure == "wer" || measure == "cer" ||
                     measure == "mae" || measure == "bits_per_byte";
  return {measure, value, falls};
}

double PrintedRate(const std::string& output) {
  static const std::regex kRate(
      R"(samples_per_s=([0-9.eE+-]+)|([0-9.]+(?:[eE][+-]?[0-9]+)?) *(?:samples|items|images|tokens)/s)");
  double rate = 0;
  for (std::sregex_iterator found(output.begin(), output.end(), kRate), end; found != end; ++found)
    rate = std::strtod((*found)[(*found)[1].matched ? 1 : 2].str().c_str(), nullptr);
  return rate;
}

RunResult MeasureRun(const StudyPoint& point, int repeat, const RunSetup& setup) {
  const std::string folder = fmt::format("{}/runs/{}-{}", setup.folder, point.name, repeat);
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(setup.folder + "/runs");
  RunResult result{.point = point.name, .repeat = repeat};
  const auto begin = Clock::now();
  if (point.role == StudyPoint::Role::kPeer) {
    result = MeasurePeer(point, result, folder + ".log");
    result.seconds = SecondsSince(begin);
    return result;
  }
  files.RemoveAll(folder);
  result.exit_code = RunToEnd(WordsFor(point, setup, folder), folder + ".log");
  result.seconds = SecondsSince(begin);
  // Nobody told it to stop but the job that it runs in, whose time is over.
  if (result.exit_code == ExitCodeOf(ErrorKind::kPreempted))
    throw Error(ErrorKind::kPreempted, "a run was stopped, and so is the study", folder,
                "start it again to go on where it was");
  if (result.exit_code == 0)
    ReadRun(folder, setup, result);
  else
    result.reason = ReasonOf(folder, ReadIfThere(folder + ".log"), result.exit_code);
  if (result.good() && !setup.keep) files.RemoveAll(folder + "/checkpoints");
  return result;
}

}  // namespace lockstep::launch
