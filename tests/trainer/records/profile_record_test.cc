#include "trainer/records/profile_record.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace lockstep::records {
namespace {

using profile::Event;
using profile::What;

RankProfile SmallProfile() {
  RankProfile profile;
  profile.attempt = 2;
  profile.rank = 1;
  profile.world_size = 3;
  profile.host = "h\"1\"";
  profile.device = "CPU";
  profile.lane_threads = 2;
  profile.first_step = 10;
  profile.steps = 5;
  profile.before = {1'000'000'000'000, -250, 40};
  profile.after = {1'000'000'900'000, 1250, 70};
  profile.programs = {{1, {{"linear", "fc1", 2e6, 4096}, {"linear_weight_grad", "fc1/weight_grad", 4e6, 8192}}}};
  profile.threads = {
      {"communication",
       0,
       {Event{.begin_ns = 1'000'000'000'100, .end_ns = 1'000'000'000'400, .step = 10, .what = What::kStep}}},
      {"executor 0",
       7,
       {Event{.begin_ns = 1'000'000'000'150,
              .end_ns = 1'000'000'000'180,
              .step = 10,
              .number = 1,
              .lane = 6,
              .what = What::kOp}}}};
  return profile;
}

TEST(ProfileRecord, IsReadAsItWasWritten) {
  const RankProfile written = SmallProfile();
  const RankProfile read = ParseProfile(FormatProfile(written), "rank-1.json");
  EXPECT_EQ(read.attempt, 2u);
  EXPECT_EQ(read.rank, 1);
  EXPECT_EQ(read.world_size, 3);
  EXPECT_EQ(read.host, written.host);
  EXPECT_EQ(read.device, "CPU");
  EXPECT_EQ(read.lane_threads, 2);
  EXPECT_EQ(read.first_step, 10u);
  EXPECT_EQ(read.steps, 5u);
  EXPECT_EQ(read.before.at_ns, written.before.at_ns);
  EXPECT_EQ(read.before.offset_ns, -250);
  EXPECT_EQ(read.after.error_ns, 70);
  ASSERT_EQ(read.programs.size(), 1u);
  EXPECT_EQ(read.programs[0].forward_ops, 1u);
  EXPECT_EQ(read.programs[0].ops, written.programs[0].ops);
  ASSERT_EQ(read.threads.size(), 2u);
  EXPECT_EQ(read.threads[1].name, "executor 0");
  EXPECT_EQ(read.threads[1].dropped, 7u);
  ASSERT_EQ(read.threads[1].events.size(), 1u);
  const Event& op = read.threads[1].events[0];
  EXPECT_EQ(op.what, What::kOp);
  EXPECT_EQ(op.begin_ns, 1'000'000'000'150);
  EXPECT_EQ(op.end_ns, 1'000'000'000'180);
  EXPECT_EQ(op.step, 10u);
  EXPECT_EQ(op.number, 1);
  EXPECT_EQ(op.lane, 6);
  EXPECT_EQ(read.threads[0].events[0].lane, -1);
  EXPECT_EQ(FormatProfile(read), FormatProfile(written));
}

TEST(ProfileRecord, OneWithoutEventsIsOne) {
  RankProfile profile = SmallProfile();
  for (ProfiledThread& thread : profile.threads) thread.events.clear();
  EXPECT_EQ(ParseProfile(FormatProfile(profile), "").threads.size(), 2u);
}

/// What is said of the profile after `was` became `now` in its text.
std::string WordsOn(const std::string& was, const std::string& now) {
  std::string text = FormatProfile(SmallProfile());
  const size_t at = text.find(was);
  if (at == std::string::npos) return was + " is not in it";
  text.replace(at, was.size(), now);
  try {
    ParseProfile(text, "run/profile/rank-1.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.where(), "run/profile/rank-1.json");
    return error.message();
  }
  return "nothing";
}

TEST(ProfileRecord, WhatIsDamagedIsNamed) {
  EXPECT_EQ(WordsOn("\"version\":1", "\"version\":9"), "is no profile of a rank: it is of another version of lockstep");
  EXPECT_EQ(WordsOn("\"rank\":1", "\"rank\":3"), "is no profile of a rank: its rank is none");
  EXPECT_EQ(WordsOn("\"lane_threads\":2", "\"lane_threads\":0"), "is no profile of a rank: its rank is none");
  EXPECT_EQ(WordsOn("\"steps\":5", "\"steps\":-5"), "is no profile of a rank: \"steps\" is no number that fits");
  EXPECT_EQ(WordsOn("\"at_ns\":1000000000000", "\"at_ns\":9100000000000000000"),
            "is no profile of a rank: a time is out of all bounds");
  EXPECT_EQ(WordsOn("[5,50,30,10,6,1,0]", "[5,50,30,10,6,1]"),
            "is no profile of a rank: an event is no row of 7 numbers");
  EXPECT_EQ(WordsOn("[5,50,30,10,6,1,0]", "[5,50,-30,10,6,1,0]"),
            "is no profile of a rank: an event ends before it begins");
  EXPECT_EQ(WordsOn("[5,50,30,10,6,1,0]", "[99,50,30,10,6,1,0]"),
            "is no profile of a rank: an event is of a kind that is not listed");
  for (const char* row : {"[5,50,30,10,6,2,0]", "[5,50,30,10,6,-1,0]", "[5,50,30,10,6,1,1]", "[5,50,30,10,6,1,-1]"})
    EXPECT_EQ(WordsOn("[5,50,30,10,6,1,0]", row), "is no profile of a rank: an event is of an op that no program has")
        << row;
  EXPECT_EQ(WordsOn("[5,50,30,10,6,1,0]", "[5,50,30,-10,6,1,0]"), "is no profile of a rank: an event has no step");
  EXPECT_THROW(ParseProfile("", ""), Error);
  EXPECT_THROW(ParseProfile("[]", ""), Error);
}

TEST(ProfileRecord, EventsOfANewerProgramAreLeftOut) {
  std::string text = FormatProfile(SmallProfile());
  text.replace(text.find("\"op\""), 4, "\"dream\"");
  const RankProfile read = ParseProfile(text, "");
  EXPECT_TRUE(read.threads[1].events.empty());
  EXPECT_EQ(read.threads[0].events.size(), 1u);
}

}  // namespace
}  // namespace lockstep::records
