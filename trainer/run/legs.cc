#include "trainer/run/legs.h"

namespace lockstep::run {

data::Leg NextLeg(const checkpoint::LoopState& loop, uint64_t step, const plan::TrainConfig& config,
                  const data::Dataset& train) {
  if (!loop.has_place()) return {};  // of an older build, in which a run had one leg
  const checkpoint::PlaceInData& place = loop.place();
  const bool other_data = place.fingerprint() != train.fingerprint();
  const bool other_batches =
      place.global_batch() != config.global_batch() || place.batch_tokens() != config.batch_tokens();
  if (!other_data && !other_batches)
    return {.first_step = place.first_step(), .first_position = place.first_position()};
  if (!other_data && !train.ragged()) return {.first_step = step, .first_position = place.position()};
  const uint64_t epoch = (place.position() + place.samples() - 1) / place.samples();
  return {.first_step = step, .first_position = epoch * train.size()};
}

Job JobIn(const Job& job, const data::Leg& leg) {
  Job result = job;
  result.splits = plan::SplitsFrom(job.splits, leg, job.config.train);
  return result;
}

}  // namespace lockstep::run
