#include "launch/profile/profiled_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep::launch {
namespace {

TEST(ProfiledJob, IsAsLongAsItsProfileAndLeavesTheLastWordToSettings) {
  const std::vector<std::string> words = WordsOf({.folder = "/p/run",
                                                  .log = "/p/run.log",
                                                  .recipe = "/r.textproto",
                                                  .settings = {"train.lanes=4", "train.steps=50"},
                                                  .launcher = {"-n", "2"},
                                                  .steps = 7,
                                                  .warm_up_steps = 3});
  EXPECT_THAT(std::vector<std::string>(words.begin() + 1, words.begin() + 5),
              testing::ElementsAre("run", "/r.textproto", "--out", "/p/run"));
  for (const char* setting : {"train.steps=10", "profile.steps=7", "profile.warm_up_steps=3", "train.lanes=4"})
    EXPECT_THAT(words, testing::Contains(setting));
  EXPECT_LT(std::find(words.begin(), words.end(), "train.steps=10"),
            std::find(words.begin(), words.end(), "train.steps=50"));
  const auto ranks = std::find(words.begin(), words.end(), "-n");
  ASSERT_NE(ranks, words.end());
  EXPECT_EQ(*(ranks + 1), "2");
}

}  // namespace
}  // namespace lockstep::launch
