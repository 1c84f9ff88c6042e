// Where a run goes on in the data when it is resumed with other batches, or with other data (--change recipe).
#pragma once

#include <cstdint>

#include "data/batches/batches.h"
#include "data/dataset.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/plan/train.pb.h"
#include "trainer/run/job.h"

namespace lockstep::run {

/// The leg that goes on from the checkpoint of step `step`, which says `loop`: its own, or one that begins there, where
/// batches or training data are others than the checkpoint says. Its place in the data is kept where samples are of one
/// shape and still the same; else it begins with the next epoch, and the rest of the old one is passed over.
data::Leg NextLeg(const checkpoint::LoopState& loop, uint64_t step, const plan::TrainConfig& config,
                  const data::Dataset& train);

/// `job`, with the batches and the length of a run that goes on in `leg`.
Job JobIn(const Job& job, const data::Leg& leg);

}  // namespace lockstep::run
