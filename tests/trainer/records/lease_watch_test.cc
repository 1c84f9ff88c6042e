#include "trainer/records/lease_watch.h"

#include <gtest/gtest.h>

namespace lockstep::records {
namespace {

using std::chrono::seconds;

class LeaseWatchTest : public ::testing::Test {
 protected:
  LeaseWatchTest() {
    record_.holder.id = "a";
    record_.period_seconds = 2;
    record_.sequence = 10;
  }
  LeaseState After(int64_t passed, int renewals) {
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
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  EXPECT_EQ(After(9, 0), LeaseState::kWait);
  EXPECT_EQ(After(1, 0), LeaseState::kLapsed);
}

TEST_F(LeaseWatchTest, OneLastRenewalIsNoLife) {
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  EXPECT_EQ(After(9, 1), LeaseState::kWait);
  EXPECT_EQ(After(9, 0), LeaseState::kWait);
  EXPECT_EQ(After(1, 0), LeaseState::kLapsed);
}

TEST_F(LeaseWatchTest, TwoRenewalsAre) {
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  EXPECT_EQ(After(2, 1), LeaseState::kWait);
  EXPECT_EQ(After(2, 1), LeaseState::kHeld);
}

TEST_F(LeaseWatchTest, AHolderWithALongerPeriodNeedsLonger) {
  record_.period_seconds = 30;
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  EXPECT_EQ(After(89, 0), LeaseState::kWait);
  EXPECT_EQ(After(1, 0), LeaseState::kLapsed);
}

TEST_F(LeaseWatchTest, WhatCantBeReadLapses) {
  EXPECT_EQ(watch_.Look(std::nullopt, now_), LeaseState::kWait);
  EXPECT_EQ(watch_.Look(std::nullopt, now_ + seconds(9)), LeaseState::kWait);
  EXPECT_EQ(watch_.Look(std::nullopt, now_ + seconds(10)), LeaseState::kLapsed);
}

TEST_F(LeaseWatchTest, ARequeuedJobWaitsForItselfToDie) {
  options_.self.slurm_job = record_.holder.slurm_job = "77";
  options_.self.slurm_restart = 1;
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(After(2, 1), LeaseState::kWait);
  EXPECT_EQ(After(2, 1), LeaseState::kHeld) << "after 40 s";
}

TEST_F(LeaseWatchTest, AnotherStepOfTheSameSlurmJobIsAnotherJob) {
  options_.self.slurm_job = record_.holder.slurm_job = "77";
  EXPECT_EQ(After(0, 0), LeaseState::kWait);
  EXPECT_EQ(After(2, 1), LeaseState::kWait);
  EXPECT_EQ(After(2, 1), LeaseState::kHeld);
}

}  // namespace
}  // namespace lockstep::records
