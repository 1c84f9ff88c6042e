#include "launch/profile/profiled_run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/profile/small_profile.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

TEST(ProfiledRun, AClockThatDriftsIsFollowed) {
  const records::ClockReading before{.at_ns = 1'000'000, .offset_ns = 500, .error_ns = 10};
  const records::ClockReading after{.at_ns = 3'000'000, .offset_ns = -300, .error_ns = 10};
  EXPECT_EQ(OnClockOfRankZero(before, after, 1'000'000), 1'000'500);
  EXPECT_EQ(OnClockOfRankZero(before, after, 2'000'000), 2'000'100);
  EXPECT_EQ(OnClockOfRankZero(before, after, 3'000'000), 2'999'700);
  EXPECT_EQ(OnClockOfRankZero(before, after, 4'000'000), 3'999'700);
  EXPECT_EQ(OnClockOfRankZero(before, before, 7), 507);
}

TEST(ProfiledRun, RanksAreOnOneClockThatBeginsWithTheFirstEvent) {
  const ProfiledRun run = Align({SmallRank(0, kHour), SmallRank(1, -7 * kHour)});
  for (const records::RankProfile& rank : run.ranks) {
    const std::vector<profile::Event>& events = rank.threads[0].events;
    ASSERT_EQ(events.size(), 5u);
    EXPECT_EQ(events[0].what, profile::What::kStep) << "who encloses others comes first";
    EXPECT_EQ(events[0].begin_ns, 0);
    EXPECT_EQ(events[0].end_ns, 100'000);
    EXPECT_EQ(events[3].what, profile::What::kUpdate);
    EXPECT_EQ(events[3].begin_ns, 60'000);
  }
  EXPECT_EQ(ProfiledRun::ClockErrorOf(run.ranks[0]), 0);
  EXPECT_EQ(ProfiledRun::ClockErrorOf(run.ranks[1]), 700) << "the larger of the two";
}

class ProfileFolder : public testing::Test {
 protected:
  void Write(int rank, const records::RankProfile& profile) {
    std::filesystem::create_directories(folder_ / "run/profile");
    std::ofstream(folder_ / ("run/profile/rank-" + std::to_string(rank) + ".json")) << records::FormatProfile(profile);
  }
  std::string WordsOfReading() {
    try {
      ReadProfiledRun(FileSystem::Real(), folder_ / "run");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.where().substr(std::string(folder_ / "").size()) + ": " + error.message();
    }
    return "";
  }

  const TemporaryFolder folder_;
};

TEST_F(ProfileFolder, IsReadOfAllRanks) {
  Write(0, SmallRank(0, 0));
  Write(1, SmallRank(1, kHour));
  const ProfiledRun run = ReadProfiledRun(FileSystem::Real(), folder_ / "run");
  ASSERT_EQ(run.ranks.size(), 2u);
  EXPECT_EQ(run.ranks[1].host, "h\"2\"");
  EXPECT_EQ(run.steps(), 1u);
}

TEST_F(ProfileFolder, WhatIsMissingOrOfAnotherAttemptIsSaid) {
  EXPECT_EQ(WordsOfReading(), "run: no steps of this run were profiled, or none yet");
  Write(0, SmallRank(0, 0));
  EXPECT_EQ(WordsOfReading(), "run/profile/rank-1.json: is not there: a rank's part of the profile");
  records::RankProfile other = SmallRank(1, 0);
  other.attempt = 3;
  Write(1, other);
  EXPECT_EQ(WordsOfReading(), "run/profile/rank-1.json: is of other steps than rank 0's: those of attempt 3, not 1");
  Write(1, SmallRank(1, 0));
  EXPECT_EQ(WordsOfReading(), "");
  Write(0, SmallRank(1, 0));
  EXPECT_EQ(WordsOfReading(), "run/profile/rank-0.json: is no profile of rank 0");
}

}  // namespace
}  // namespace lockstep::launch
