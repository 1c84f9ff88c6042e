// The control record: what every rank tells every other once per step. All agreement travels in it, so that ranks
// decide alike.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "comm/communicator.h"
#include "comm/exchange.h"
#include "data/batches/ledger.h"
#include "trainer/graph/step_block.h"
#include "trainer/step/step_times.h"

namespace lockstep::step {

/// What one lane's program computed and what its loader delivered. Plain data: travels as bytes.
struct LaneRecord {
  double losses[graph::StepBlock::kMaxLosses] = {};
  int64_t counters[graph::StepBlock::kMaxLosses] = {};
  data::LaneDelivery delivery;
};

/// What one rank says. Plain data.
struct RankRecord {
  int32_t stop = 0;                ///< a stop was requested of this rank
  int32_t checkpoint_due = 0;      ///< rank 0: by time
  int32_t checkpoint_written = 0;  ///< this rank's part of the one in flight
  int32_t checkpoint_settled = 0;  ///< rank 0: committed, or failed to
  int64_t nonfinite = -1;          ///< the first element of the gradient's sum, of those it owns, that is not finite
  StepTimes times;
  uint64_t sent_bytes = 0;  ///< in messages to other ranks since the record before
  double joules = -1;  ///< what its meter shows, 0 where another rank's shows the same hardware; < 0: there is no meter
};

struct ControlRecord {
  std::vector<RankRecord> ranks;
  std::vector<LaneRecord> lanes;  ///< by lane

  /// Sums over lanes, in lane order.
  double loss(int index) const;
  int64_t counter(int index) const;
  bool stop() const;
  bool checkpoint_written() const;  ///< by all
  /// What all meters show; nothing where a rank has none.
  std::optional<double> joules() const;
  /// The first element of the gradient's sum that is not finite; -1: all are.
  int64_t nonfinite() const;
};

/// Collective: `mine_lanes` are the records of this rank's lanes, in lane order. Lanes are dealt as `plan` says.
ControlRecord ExchangeControlRecords(comm::Communicator& comm, const comm::LanePlan& plan, const RankRecord& mine,
                                     const std::vector<LaneRecord>& mine_lanes, uint64_t step);

}  // namespace lockstep::step
