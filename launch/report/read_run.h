// All that a report shows of a run, read from its folder while it may be changing: what is missing or damaged is left
// out, and said in notes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/recipe/recipe.h"
#include "launch/report/metric_rows.h"
#include "trainer/records/evaluation_record.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

/// A row of attempts.jsonl.
struct RunStart {
  uint32_t attempt = 0;
  uint64_t from_step = 0;
  int ranks = 0;
  std::string host;
  double time = 0;  ///< seconds since 1970
  /// Why it ended, as supervisor.jsonl or verdict.json say; empty where they don't.
  std::string ending;
};

struct RunRecord {
  std::string folder;
  std::string name;   ///< the recipe's, else the folder's
  std::string state;  ///< records::StateOfRun
  double now = 0;     ///< when it was read, seconds since 1970
  std::optional<records::AttemptEnding> ending;
  std::string result_line;       ///< of done.json
  std::string recipe_text;       ///< empty where there is none
  std::optional<Recipe> recipe;  ///< nothing where it can't be read
  uint64_t total_steps = 0;      ///< 0: unknown
  MetricRows rows;
  std::vector<TimedRow> discarded;  ///< steps that a resume went back behind
  std::vector<RunStart> starts;
  std::vector<records::CommittedCheckpoint> checkpoints;  ///< that are still there
  std::optional<records::EvaluationRecord> evaluation;
  std::vector<std::string> notes;  ///< what could not be read, a sentence each

  bool running() const { return state == "running"; }
};

/// Of the run in `path`, or that `path` is a checkpoint of. Throws Error(kUsage) where it is no run's.
RunRecord ReadRun(const std::string& path, double now);

}  // namespace lockstep::launch
