#include "trainer/plan/splits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/drawn_samples.h"
#include "trainer/graph/ops.h"

namespace lockstep::plan {
namespace {

/// Time steps of `step`'s recordings, whether they differ in length or not.
uint64_t TimeStepsOf(const Splits& splits, uint64_t step) {
  const data::Batches& batches = *splits.batches;
  if (splits.train->ragged()) return batches.TotalLength(step);
  const auto time_steps = static_cast<uint64_t>(splits.transform->fields().front().shape[0]);
  return (batches.FirstPosition(step + 1) - batches.FirstPosition(step)) * time_steps;
}

/// Of the training samples, what takes little beside training.
uint64_t DefaultPart(const Splits& splits) {
  constexpr uint64_t kSteps = 10, kFewest = 4096;
  const uint64_t of_steps = splits.batches->FirstPosition(kSteps) - splits.batches->FirstPosition(0);
  const bool is_short = splits.train->uniform_labels() && splits.train->labels(0, 0) == 1;
  return is_short ? std::max(of_steps, kFewest) : of_steps;
}

}  // namespace

void LimitEvaluations(const EvaluateConfig& config, uint64_t seed, Splits& splits) {
  if (splits.validation) splits.validation = data::DrawSamples(splits.validation, config.samples(), seed);
  if (splits.test) splits.test = data::DrawSamples(splits.test, config.samples(), seed);
  const uint64_t part = config.samples() > 0 ? config.samples() : DefaultPart(splits);
  splits.train_part = data::DrawSamples(splits.train, part, seed);
}

void DeliverBytes(Splits& splits) {
  const std::shared_ptr<const data::Transform> bytes = splits.transform->AsBytes();
  if (bytes != nullptr && bytes->normalizer()->mean.size() <= graph::PixelsAttributes::kMaxChannels)
    splits.transform = bytes;
}

uint64_t TokensOf(const Splits& splits, metrics::Task task, uint64_t step) {
  switch (task) {
    case metrics::Task::kLanguageModel:
    case metrics::Task::kTranslation:
      return splits.batches->Denominators(step)[0];
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
  return {.total_steps = steps, .steps_per_epoch = batches.steps_per_epoch()};
}

Splits SplitsFrom(const Splits& splits, const data::Leg& leg, const TrainConfig& config) {
  Splits result = splits;
  if (leg == splits.leg) return result;
  result.leg = leg;
  result.batches = splits.make_batches(leg);
  result.length = LengthOf(config, *result.batches);
  result.length.first_step = leg.first_step;
  result.length.first_epoch = static_cast<double>(leg.first_position) / static_cast<double>(splits.train->size());
  return result;
}

}  // namespace lockstep::plan
