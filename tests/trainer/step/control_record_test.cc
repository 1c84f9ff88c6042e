#include "trainer/step/control_record.h"

#include <gtest/gtest.h>

#include "comm/local/local_communicator.h"
#include "trainer/plan/lane_plan.h"

namespace lockstep::step {
namespace {

using testing::Message;

LaneRecord RecordOf(int lane) {
  LaneRecord record;
  // Of these numbers, only sums in ascending lane order give the expected loss.
  record.losses[0] = lane % 2 == 0 ? 1e16 : 1.0 + lane;
  record.losses[1] = lane;
  record.counters[0] = 10 * lane;
  record.delivery.ordered = static_cast<uint64_t>(1000 + lane);
  return record;
}

TEST(ControlRecord, BringsLanesInOrderAtUnevenRanks) {
  constexpr int kLanes = 11;
  double loss = 0;
  for (int lane = 0; lane < kLanes; ++lane) loss += RecordOf(lane).losses[0];
  for (const std::vector<int>& executors :
       std::vector<std::vector<int>>{{1}, {2, 3}, {2, 1, 1}, {1, 1, 1, 1}, {1, 2, 1, 1, 2}}) {
    const comm::LanePlan plan = plan::PlanLanes(kLanes, executors);
    const int ranks = static_cast<int>(executors.size());
    comm::RunLocalWorld({ranks, {}, {}}, [&](comm::Communicator& comm) {
      SCOPED_TRACE(Message() << "rank " << comm.rank() << " of " << ranks);
      const std::vector<LaneRange>& mine = plan[static_cast<size_t>(comm.rank())];
      std::vector<LaneRecord> lanes;
      for (int lane = mine.front().begin; lane < mine.back().end; ++lane) lanes.push_back(RecordOf(lane));
      RankRecord rank;
      rank.times.lanes = comm.rank();
      const ControlRecord record = ExchangeControlRecords(comm, plan, rank, lanes, 1);
      ASSERT_EQ(record.lanes.size(), static_cast<size_t>(kLanes));
      for (int lane = 0; lane < kLanes; ++lane) {
        EXPECT_EQ(record.lanes[static_cast<size_t>(lane)].losses[1], lane);
        EXPECT_EQ(record.lanes[static_cast<size_t>(lane)].delivery.ordered, static_cast<uint64_t>(1000 + lane));
      }
      ASSERT_EQ(record.ranks.size(), static_cast<size_t>(ranks));
      for (int r = 0; r < ranks; ++r) EXPECT_EQ(record.ranks[static_cast<size_t>(r)].times.lanes, r);
      EXPECT_EQ(record.loss(0), loss);
      EXPECT_EQ(record.counter(0), 10 * kLanes * (kLanes - 1) / 2);
      EXPECT_FALSE(record.stop());
    });
  }
}

TEST(ControlRecord, AStopThatOneRankWantsIsHeardByAll) {
  const comm::LanePlan plan = plan::PlanLanes(4, {1, 1, 1});
  comm::RunLocalWorld({3, {}, {}}, [&](comm::Communicator& comm) {
    RankRecord mine;
    mine.stop = comm.rank() == 2;
    const auto& run = plan[static_cast<size_t>(comm.rank())].front();
    const ControlRecord record =
        ExchangeControlRecords(comm, plan, mine, std::vector<LaneRecord>(static_cast<size_t>(run.size())), 0);
    EXPECT_TRUE(record.stop()) << comm.rank();
  });
}

TEST(ControlRecord, AddsMetersOnlyWhereEveryRankHasOne) {
  ControlRecord record;
  record.ranks.resize(3);
  for (RankRecord& rank : record.ranks) rank.joules = 1.5;
  record.ranks[1].joules = 0;  // what another rank's meter shows
  EXPECT_DOUBLE_EQ(record.joules().value(), 3);
  record.ranks[2].joules = -1;
  EXPECT_EQ(record.joules(), std::nullopt);
}

}  // namespace
}  // namespace lockstep::step
