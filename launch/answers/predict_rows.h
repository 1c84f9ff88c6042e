// Answers of a model of tables: one for each row.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/answer_writer.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {

struct RowsOptions {
  std::vector<std::string> inputs;  ///< CSV files; "-": standard input, answered line by line
  AnswerFormat format = AnswerFormat::kText;
  int threads = 1;
};

/// Hands lines to `take` as soon as they are there. Rows need the columns of features alone, by their headings; other
/// columns are left alone. Throws Error(kData) where a row can't be read. REQUIRES: run.Predicts(), and that it was
/// trained on a table.
void PredictRows(const TrainedRun& run, const RowsOptions& options,
                 const std::function<void(const std::string& lines)>& take);

}  // namespace lockstep::launch
