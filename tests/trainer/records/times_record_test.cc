#include "trainer/records/times_record.h"

#include <gtest/gtest.h>

namespace lockstep::records {
namespace {

TEST(TimesRecord, IsReadAsItWasWritten) {
  TimesRecord times{.attempt = 2, .first_step = 110, .seconds = 0.5, .samples = 640, .step_seconds = {0.2, 0.3}};
  times.steps = 2;
  times.ranks.push_back({"h1", {{"data", 0.125}, {"exchange", 0.25}}, 0.375, 1, 4096});
  times.ranks.push_back({"h2", {}, 0.25, 1, 0});
  const std::optional<TimesRecord> read = ParseTimes(FormatTimes(times));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->attempt, 2u);
  EXPECT_EQ(read->first_step, 110u);
  EXPECT_EQ(read->steps, 2u);
  EXPECT_EQ(read->seconds, 0.5);
  EXPECT_EQ(read->samples, 640u);
  EXPECT_EQ(read->step_seconds, times.step_seconds);
  ASSERT_EQ(read->ranks.size(), 2u);
  EXPECT_EQ(read->ranks[0].host, "h1");
  EXPECT_EQ(read->ranks[0].phases, times.ranks[0].phases);
  EXPECT_EQ(read->ranks[0].lanes, 0.375);
  EXPECT_EQ(read->ranks[0].sent_bytes, 4096u);
  EXPECT_EQ(read->ranks[1].slowest, 1u);
}

TEST(TimesRecord, WhatIsNoneIsNotThere) {
  for (const char* text : {"", "[]", "{}", R"({"version":2})", R"({"version":"1"})"})
    EXPECT_FALSE(ParseTimes(text)) << text;
  const std::optional<TimesRecord> odd =
      ParseTimes(R"({"version":1,"step_seconds":{"a":1},"ranks":[7,{"phases":[1],"lanes":"x"}],"steps":-3})");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->ranks.size(), 2u);
  EXPECT_TRUE(odd->step_seconds.empty());
  EXPECT_EQ(odd->steps, 0u);
}

}  // namespace
}  // namespace lockstep::records
