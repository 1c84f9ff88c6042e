// What a person and a program see of a run: metrics.jsonl, the progress bar or lines, and the last line. Rank 0 alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "base/json_fields.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/optim/schedule.h"
#include "trainer/records/event_file.h"

namespace lockstep::run {

/// What training has used between two rows.
struct PowerUse {
  double watts = 0, joules_per_sample = 0;
};

/// One logged step. `step` counts finished steps.
struct StepRow {
  uint64_t step = 0;
  double epoch = 0;
  double loss = 0;
  double accuracy = -1;  ///< < 0: the task has none
  double learning_rate = 0;
  double samples_per_s = 0;
  double grad_norm = 0;
  double checkpoint_seconds =
      0;  ///< that training has waited for a checkpoint since the last row: its copy, and the one before it
  double data_seconds = 0;        ///< that it has waited for samples since the last row
  std::optional<PowerUse> power;  ///< since the last row; nothing where hardware does not say
};

class Reporter {
 public:
  struct Options {
    std::string metrics_path;
    uint32_t attempt = 0;
    uint64_t total_steps = 0;
    double total_epochs = 0;
    bool terminal = false;  ///< a bar that redraws itself, instead of a line every few seconds
    bool quiet = false;     ///< no progress at all
    std::unique_ptr<records::EventFile> events = nullptr;  ///< gets each row too; null: there is none
  };
  explicit Reporter(Options options);
  ~Reporter();

  /// Appends a row to metrics.jsonl. Where it can't be written (a full disk), training goes on: that is said once, and
  /// at the end how many rows are missing.
  void Log(const StepRow& row);
  /// `seconds` that it took.
  void Log(const checkpoint::Evaluation& evaluation, double epoch, double seconds);
  /// Shows where the run stands, at most a few times a second on a terminal, else every few seconds.
  void Progress(const StepRow& row);
  /// Clears the bar: something else will be printed.
  void Clear();

 private:
  /// Of an evaluation with its `split`.
  void Append(const Json& row);
  void AppendLine(const std::string& row);

  Options options_;
  std::FILE* metrics_ = nullptr;
  std::chrono::steady_clock::time_point start_, shown_;
  uint64_t first_step_ = 0;
  bool torn_ = false;  ///< the last row was cut off
  uint64_t lost_rows_ = 0;
};

/// Where a run stands, in at most `columns` characters: a bar as long as there is room, and the figures that fit; what
/// says least goes first.
std::string StatusText(const StepRow& row, uint64_t total_steps, double total_epochs, double seconds_left, int columns);

/// Passes over the training data. A run ends with a whole step, so what is less than a step short of the epochs that
/// are `asked` for (0: none are), or of whole ones, counts as these.
double EpochsTrained(const optim::RunLength& length, uint64_t step, double asked);

/// "5", "0.12", "0.004": passes over the training data, for people.
std::string EpochText(double epochs);

/// "done name=mnist step=2343 epoch=5 loss=0.0123 accuracy=0.9941 weights=0123456789abcdef samples_per_s=8123
/// seconds=38.1"
struct ResultLine {
  std::string verb = "done";
  std::string name;
  uint64_t step = 0;
  double epoch = 0;
  checkpoint::Evaluation evaluation;
  uint64_t weights = 0;
  double samples_per_s = 0;
  double tokens_per_s = 0;  ///< > 0: of a language model
  double seconds = 0;
  uint64_t best_step = 0;  ///< > 0: early stopping kept the weights of this step, and the line ends with best_step=
};
std::string Format(const ResultLine& line);

}  // namespace lockstep::run
