#include "trainer/profile/event_log.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lockstep::profile {
namespace {

TEST(EventLog, NamesOfEventsAreReadBack) {
  std::set<std::string> names;
  for (int i = 0; i < kWhats; ++i) {
    const auto what = static_cast<What>(i);
    EXPECT_EQ(WhatOf(Name(what)), what);
    names.emplace(Name(what));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kWhats));
  EXPECT_EQ(Name(What::kOp), "op");
  EXPECT_EQ(Name(What::kCertify), "comparing weights") << "the last name belongs to the last kind";
  EXPECT_FALSE(WhatOf("operation"));
  EXPECT_FALSE(WhatOf(""));
}

TEST(EventLog, EventsBelongToWhatWasEntered) {
  EventLog log(4);
  log.Enter(7, 3, 1);
  log.Add(What::kOp, 5, 100, 140);
  log.Enter(8);
  log.Add(What::kStep, -1, 90, 200);
  ASSERT_EQ(log.events().size(), 2u);
  const Event& op = log.events()[0];
  EXPECT_EQ(op.what, What::kOp);
  EXPECT_EQ(op.step, 7u);
  EXPECT_EQ(op.lane, 3);
  EXPECT_EQ(op.program, 1);
  EXPECT_EQ(op.number, 5);
  EXPECT_EQ(op.begin_ns, 100);
  EXPECT_EQ(op.end_ns, 140);
  EXPECT_EQ(log.events()[1].step, 8u);
  EXPECT_EQ(log.events()[1].lane, -1);
}

TEST(EventLog, WhatFindsNoRoomIsCounted) {
  EventLog log(2);
  for (int i = 0; i < 5; ++i) log.Add(What::kOp, i, i, i + 1);
  ASSERT_EQ(log.events().size(), 2u);
  EXPECT_EQ(log.events()[1].number, 1) << "the first ones stay";
  EXPECT_EQ(log.dropped(), 3u);
}

TEST(EventLog, ScopesAndLapsFollowTheClock) {
  EventLog log(3);
  const int64_t begin = EventLog::Now();
  {
    const EventScope scope(&log, What::kUpdate, 2);
    const EventScope nothing(nullptr, What::kUpdate);
  }
  const int64_t lap = log.Lap(What::kOp, 0, begin);
  ASSERT_EQ(log.events().size(), 2u);
  const Event &scope = log.events()[0], &op = log.events()[1];
  EXPECT_EQ(scope.number, 2);
  EXPECT_LE(begin, scope.begin_ns);
  EXPECT_LE(scope.begin_ns, scope.end_ns);
  EXPECT_LE(scope.end_ns, op.end_ns);
  EXPECT_EQ(op.end_ns, lap);
}

}  // namespace
}  // namespace lockstep::profile
