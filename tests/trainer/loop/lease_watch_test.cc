#include "trainer/loop/lease_watch.h"

#include <gtest/gtest.h>

namespace lockstep::loop {
namespace {

using std::chrono::seconds;
using Verdict = LeaseWatch::Verdict;

class LeaseWatchTest : public ::testing::Test {
 protected:
  LeaseWatchTest() {
    record_.holder.id = "a";
    record_.period_seconds = 2;
    record_.sequence = 10;
  }
  Verdict After(int64_t passed, int renewals) {
    now_ += seconds(passed);
    record_.sequence += static_cast<uint64_t>(renewals);
    return watch_.Look(record_, now_);
  }

  LeaseOptions options_;
  LeaseWatch watch_{options_};
  LeaseRecord record_;
  LeaseWatch::Time now_{};
};

TEST_F(LeaseWatchTest, LapsesWhenTheSequenceStandsStillOnOurClock) {
  record_.time = 1;  // whatever the holder's clock says
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  EXPECT_EQ(After(9, 0), Verdict::kWait);
  EXPECT_EQ(After(1, 0), Verdict::kLapsed);
}

TEST_F(LeaseWatchTest, OneLastRenewalIsNoLife) {
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  EXPECT_EQ(After(9, 1), Verdict::kWait);
  EXPECT_EQ(After(9, 0), Verdict::kWait);
  EXPECT_EQ(After(1, 0), Verdict::kLapsed);
}

TEST_F(LeaseWatchTest, TwoRenewalsAre) {
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  EXPECT_EQ(After(2, 1), Verdict::kWait);
  EXPECT_EQ(After(2, 1), Verdict::kHeld);
}

TEST_F(LeaseWatchTest, AHolderWithALongerPeriodNeedsLonger) {
  record_.period_seconds = 30;
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  EXPECT_EQ(After(89, 0), Verdict::kWait);
  EXPECT_EQ(After(1, 0), Verdict::kLapsed);
}

TEST_F(LeaseWatchTest, WhatCantBeReadLapses) {
  EXPECT_EQ(watch_.Look(std::nullopt, now_), Verdict::kWait);
  EXPECT_EQ(watch_.Look(std::nullopt, now_ + seconds(9)), Verdict::kWait);
  EXPECT_EQ(watch_.Look(std::nullopt, now_ + seconds(10)), Verdict::kLapsed);
}

TEST_F(LeaseWatchTest, ARequeuedJobWaitsForItselfToDie) {
  options_.self.slurm_job = record_.holder.slurm_job = "77";
  options_.self.slurm_restart = 1;
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(After(2, 1), Verdict::kWait);
  EXPECT_EQ(After(2, 1), Verdict::kHeld) << "after 40 s";
}

TEST_F(LeaseWatchTest, AnotherStepOfTheSameSlurmJobIsAnotherJob) {
  options_.self.slurm_job = record_.holder.slurm_job = "77";
  EXPECT_EQ(After(0, 0), Verdict::kWait);
  EXPECT_EQ(After(2, 1), Verdict::kWait);
  EXPECT_EQ(After(2, 1), Verdict::kHeld);
}

}  // namespace
}  // namespace lockstep::loop
