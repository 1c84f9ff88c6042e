#include "trainer/plan/splits.h"

#include <fmt/format.h>

#include "base/error.h"

namespace lockstep::plan {
namespace {

/// Time steps of `step`'s recordings, whether they differ in length or not.
uint64_t TimeStepsOf(const Splits& splits, uint64_t step) {
  const data::Batches& batches = *splits.batches;
  if (splits.train->ragged()) return batches.TotalLength(step);
  const auto time_steps = static_cast<uint64_t>(splits.transform->fields().front().shape[0]);
  return (batches.FirstPosition(step + 1) - batches.FirstPosition(step)) * time_steps;
}

}  // namespace

uint64_t TokensOf(const Splits& splits, metrics::Task task, uint64_t step) {
  switch (task) {
    case metrics::Task::kLanguageModel:
    case metrics::Task::kTranslation:
      return splits.batches->Denominator(step);
    case metrics::Task::kSpeech:
      return TimeStepsOf(splits, step);
    default:
      return 0;
  }
}

optim::RunLength LengthOf(const TrainConfig& config, const data::Batches& batches) {
  const uint64_t steps = config.steps() > 0 ? config.steps() : batches.Steps(config.epochs());
  if (steps == 0)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("the run has no steps: {} epochs of {:.3g} steps", config.epochs(), batches.steps_per_epoch()),
        "train", "set train.epochs or train.steps");
  return {steps, batches.steps_per_epoch()};
}

}  // namespace lockstep::plan
