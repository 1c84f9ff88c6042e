// A study's folder: what was asked for, and a row for each run that has ended, so that a study that is stopped goes on
// where it was.
//
//   study.json     what was asked for, points, build, host; written at the start
//   runs.jsonl     a row a run, in the order of their ends
//   runs/NAME-R/   the run folder of repeat R of point NAME
//   report.html, report.md, points.csv, report.json, extrap.txt     made of these
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launch/scale/host_limits.h"
#include "launch/scale/preflight.h"
#include "launch/scale/study.h"
#include "trainer/records/times_record.h"

namespace lockstep::launch {

/// How a run ended.
struct RunResult {
  std::string point = {};
  int repeat = 0;
  int exit_code = 0;
  std::string reason = {};       ///< of a run that failed
  std::string weights = {};      ///< hash
  double seconds_per_step = 0;   ///< mean over the steps behind the warm-up; 0: the run failed
  double samples_per_s = 0;      ///< of these steps
  double joules_per_sample = 0;  ///< 0: there is no meter
  double seconds = 0;            ///< of the whole run, start and end too
  double target_seconds = 0;     ///< from the start until the target was reached; 0: there is none, or it was not
  uint64_t steps = 0;            ///< that the figures are of
  std::vector<records::RankTimes> ranks = {};

  bool good() const { return exit_code == 0 && seconds_per_step > 0; }
};

std::string FormatResult(const RunResult& result);
/// What of `text` are rows; others are left out.
std::vector<RunResult> ParseResults(const std::string& text);

/// What is known of a study beside its runs.
struct StudyFacts {
  std::string recipe = {};  ///< its path
  std::vector<std::string> settings = {};
  std::string name = {}, command = {}, build = {}, host = {}, cpu = {};
  StudyRequest request = {};
  std::vector<StudyPoint> points = {};
  std::vector<Obstacle> obstacles = {};       ///< that --anyway went past, or that came in between
  std::map<std::string, double> limits = {};  ///< measured beside the runs: "matrix_gflops", "copy_gb_s"
  HostLimits hosts = {};  ///< of each host and link, likewise; `limits` are then those of the slowest host
  double parameters = 0, flops_per_sample = 0, samples_per_epoch = 0;
  std::string target = {};  ///< "accuracy=0.97"
};
std::string FormatFacts(const StudyFacts& facts);
/// Throws Error(kUsage) naming `path`.
StudyFacts ParseFacts(const std::string& text, const std::string& path);

}  // namespace lockstep::launch
