// What the answers of a classifier or a regression to a whole split are worth, in detail.
#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/transform.h"
#include "launch/job/trained_run.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

struct ExamineOptions {
  std::string split;  ///< "test"
  uint64_t step = 0;  ///< whose weights answer
  int threads = 1;
};

/// Answers all samples of `samples` on this host's cores, and measures the answers: the same numbers at any number of
/// threads. The worst answers are those of the largest loss, of a regression of the largest squared error. REQUIRES:
/// run.Predicts(), and that `transform` is that of the run's recipe.
records::SplitRecord Examine(const TrainedRun& run, const data::Dataset& samples,
                             const std::shared_ptr<const data::Transform>& transform, const ExamineOptions& options);

/// Names of the run's classes; their numbers where they have none.
std::vector<std::string> ClassNamesOf(const TrainedRun& run);
/// Names of the run's targets: of a table its columns'.
std::vector<std::string> TargetNamesOf(const TrainedRun& run);

}  // namespace lockstep::launch
