#include "comm/flight_alignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace lockstep::comm {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using Part = AlignedCollective::Part;

constexpr int64_t kSecond = 1'000'000'000;

void Add(FlightRecord& record, Event::Type type, uint64_t number, double seconds,
         CollectiveKind::Value kind = CollectiveKind::ALL_GATHER, uint64_t bytes = 32) {
  Event& event = *record.add_events();
  event.set_type(type);
  event.set_collective(number);
  event.set_kind(kind);
  event.set_bytes(bytes);
  event.set_step(310);
  event.set_time_ns(1'700'000'000 * kSecond + static_cast<int64_t>(seconds * 1e9));
}

FlightRecord RecordOf(int rank) {
  FlightRecord record;
  record.set_rank(rank);
  record.set_world_size(3);
  return record;
}

TEST(FlightAlignmentTest, PutsTheSameCollectivesOfAllRanksSideBySide) {
  std::vector<FlightRecord> records = {RecordOf(0), RecordOf(1), RecordOf(2)};
  for (int rank = 0; rank < 3; ++rank) {
    Add(records[static_cast<size_t>(rank)], Event::ENTER, 17, 1.0 + 0.5 * rank);
    Add(records[static_cast<size_t>(rank)], Event::LEAVE, 17, 2.25);
  }
  Add(records[0], Event::BEGIN, 18, 3, CollectiveKind::EXCHANGE, 4096);
  Add(records[0], Event::ENTER, 18, 4, CollectiveKind::EXCHANGE, 4096);
  Add(records[1], Event::BEGIN, 18, 3, CollectiveKind::EXCHANGE, 4096);

  const std::vector<AlignedCollective> aligned = AlignCollectives(records, 20);
  ASSERT_THAT(aligned, SizeIs(2));
  EXPECT_EQ(aligned[0].number, 17u);
  EXPECT_EQ(aligned[0].step, 310);
  EXPECT_NEAR(aligned[0].ranks[2].entered, 1.0, 1e-6);
  EXPECT_NEAR(aligned[0].ranks[2].seconds, 0.25, 1e-6);
  EXPECT_EQ(aligned[1].kind, CollectiveKind::EXCHANGE);
  EXPECT_EQ(aligned[1].ranks[0].part, Part::kEntered);
  EXPECT_EQ(aligned[1].ranks[0].entered, 0);
  EXPECT_LT(aligned[1].ranks[0].seconds, 0);  // never left
  EXPECT_EQ(aligned[1].ranks[1].part, Part::kBegun);
  EXPECT_EQ(aligned[1].ranks[2].part, Part::kMissing);
}

TEST(FlightAlignmentTest, WhatARecordNoLongerHoldsIsNotMissing) {
  std::vector<FlightRecord> records = {RecordOf(0), RecordOf(1)};
  for (uint64_t number = 1; number <= 30; ++number) Add(records[0], Event::ENTER, number, static_cast<double>(number));
  Add(records[1], Event::LEAVE, 29, 29.5);  // its entry has been overwritten
  Add(records[1], Event::ENTER, 30, 30.5);
  const std::vector<AlignedCollective> aligned = AlignCollectives(records, 3);
  ASSERT_THAT(aligned, SizeIs(3));
  EXPECT_EQ(aligned[0].number, 28u);
  EXPECT_EQ(aligned[0].ranks[1].part, Part::kForgotten);
  EXPECT_EQ(aligned[1].ranks[1].part, Part::kForgotten);
  EXPECT_EQ(aligned[2].ranks[1].part, Part::kEntered);
}

TEST(FlightAlignmentTest, MarksRanksThatCalledSomethingElse) {
  std::vector<FlightRecord> records = {RecordOf(0), RecordOf(1), RecordOf(2)};
  Add(records[0], Event::ENTER, 1, 0, CollectiveKind::ALL_GATHER, 32);
  Add(records[1], Event::ENTER, 1, 0, CollectiveKind::ALL_GATHER, 64);
  Add(records[2], Event::ENTER, 1, 0, CollectiveKind::BARRIER, 0);
  const AlignedCollective aligned = AlignCollectives(records, 20).at(0);
  EXPECT_FALSE(aligned.ranks[0].differs);
  EXPECT_TRUE(aligned.ranks[1].differs);
  EXPECT_TRUE(aligned.ranks[2].differs);
  EXPECT_EQ(aligned.ranks[1].bytes, 64u);
}

TEST(FlightAlignmentTest, RecordsWithoutCollectivesAlignToNothing) {
  EXPECT_THAT(AlignCollectives(std::vector{RecordOf(0), RecordOf(1)}, 20), IsEmpty());
}

}  // namespace
}  // namespace lockstep::comm
