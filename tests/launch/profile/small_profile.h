// A profile of two ranks on two hosts whose clocks differ, with one executor each, one step and times that are easy to
// add up.
#pragma once

#include <vector>

#include "trainer/records/profile_record.h"

namespace lockstep::launch {

/// Rank `rank`'s, whose clock shows `ahead_ns` more than rank 0's. In microseconds of rank 0's clock, from 0 on: the
/// step 0..100; packing 0..10, exchange of gradients 10..80 with an update of bucket 1 in 60..75, exchange of
/// weights 80..95; lane 10..60 of waiting 10..12, copying 12..13, forward 13..33 with op fc1 13..31, backward 33..60
/// with op fc1/weight_grad 33..53 and the fold of bucket 1 53..58.
inline records::RankProfile SmallRank(int rank, int64_t ahead_ns) {
  using profile::Event;
  using profile::What;
  const auto at = [&](What what, int64_t begin_us, int64_t end_us, int number = -1, int lane = -1) {
    return Event{.begin_ns = 1000 * begin_us + ahead_ns,
                 .end_ns = 1000 * end_us + ahead_ns,
                 .step = 10,
                 .number = number,
                 .lane = lane,
                 .what = what};
  };
  records::RankProfile profile;
  profile.attempt = 1;
  profile.rank = rank;
  profile.world_size = 2;
  profile.host = rank == 0 ? "h1" : "h\"2\"";
  profile.device = "CPU";
  profile.first_step = 10;
  profile.steps = 1;
  profile.before = {ahead_ns - 50'000, -ahead_ns, rank * 400};
  profile.after = {ahead_ns + 150'000, -ahead_ns, rank * 700};
  profile.programs = {{1, {{"linear", "fc1", 36'000, 1800}, {"linear_weight_grad", "fc1/weight_grad", 80'000, 4000}}}};
  // Each in the order of their ends, as threads write them.
  profile.threads = {
      {"communication",
       0,
       {at(What::kPrepare, 0, 10), at(What::kUpdate, 60, 75, 1), at(What::kReduce, 10, 80), at(What::kShare, 80, 95),
        at(What::kStep, 0, 100)}},
      {"executor 0",
       0,
       {at(What::kSamples, 10, 12, -1, rank), at(What::kInputs, 12, 13, -1, rank), at(What::kOp, 13, 31, 0, rank),
        at(What::kForward, 13, 33, -1, rank), at(What::kOp, 33, 53, 1, rank), at(What::kFold, 53, 58, 1, rank),
        at(What::kBackward, 33, 60, -1, rank), at(What::kLane, 10, 60, -1, rank)}}};
  return profile;
}

}  // namespace lockstep::launch
