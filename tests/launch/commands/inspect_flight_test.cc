#include "launch/commands/inspect_flight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "comm/flight_file.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using comm::CollectiveKind;
using comm::FlightRecorder;
using comm::Phase;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A run whose second attempt ended in a hang: rank 2 of 4 hung loading a batch, and rank 3 left no record.
class InspectFlightTest : public testing::Test {
 protected:
  InspectFlightTest() {
    for (int rank = 0; rank < 3; ++rank) {
      FlightRecorder recorder(rank, 4, rank < 2 ? "h1" : "h2");
      recorder.SetAttempt(2);
      recorder.EnterPhase(Phase::LOADING_BATCH, 310);
      for (int i = 0; i < 5; ++i)
        recorder.LeaveCollective(recorder.EnterCollective(CollectiveKind::ALL_GATHER, 64, ""));
      const uint64_t number = recorder.BeginCollective(CollectiveKind::EXCHANGE, 4096, "");
      if (rank < 2) {
        recorder.EnterPhase(Phase::EXCHANGING, 310);
        recorder.EnterCollective(number);
      }
      comm::WriteFlightRecord(files_, recorder, attempt_, rank == 0 ? "rank 2 is stuck" : "");
    }
  }

  int Inspect(const std::string& path, bool json = false, size_t last = 20) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      const int code = InspectFlight(files_, path, last, json);
      output_ = testing::internal::GetCapturedStdout();
      errors_ = testing::internal::GetCapturedStderr();
      return code;
    } catch (const Error& error) {
      testing::internal::GetCapturedStdout();
      testing::internal::GetCapturedStderr();
      errors_ = error.what();
      return error.exit_code();
    }
  }

  FileSystem& files_ = FileSystem::Real();
  TemporaryFolder folder_;
  const std::string attempt_ = folder_ / "flight/attempt-2";
  std::string output_, errors_;
};

TEST_F(InspectFlightTest, ShowsWhoIsMissingAndWhatEachRankDid) {
  EXPECT_EQ(Inspect(attempt_), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("flight records of attempt 2, 3 of 4 ranks"), HasSubstr("exchange"),
                             HasSubstr("not entered: 2"), HasSubstr("loading batch in step 310 for"),
                             HasSubstr("waits in exchange 6"), HasSubstr("has begun exchange 6"),
                             HasSubstr("ended: rank 2 is stuck"), HasSubstr("no record of rank 3")));
}

TEST_F(InspectFlightTest, TakesTheNewestAttemptOfARunAndSingleFilesToo) {
  EXPECT_TRUE(IsFlightPath(files_, folder_ / "flight"));
  EXPECT_TRUE(IsFlightPath(files_, attempt_));
  EXPECT_TRUE(IsFlightPath(files_, attempt_ + "/rank-1.pb"));
  EXPECT_FALSE(IsFlightPath(files_, folder_.path()));
  EXPECT_FALSE(IsFlightPath(files_, folder_ / "nowhere"));
  files_.CreateFolders(folder_ / "flight/attempt-1");
  EXPECT_EQ(Inspect(folder_ / "flight"), 0);
  EXPECT_THAT(output_, HasSubstr("attempt 2, 3 of 4 ranks"));
  EXPECT_EQ(Inspect(attempt_ + "/rank-1.pb"), 0);
  EXPECT_THAT(output_, HasSubstr("attempt 2, 1 of 4 ranks"));
}

TEST_F(InspectFlightTest, ShowsOnlyTheLastCollectivesThatWereAskedFor) {
  EXPECT_EQ(Inspect(attempt_, false, 2), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("the last 2 collectives"), HasSubstr("\n         5  all-gather"),
                             Not(HasSubstr("\n         4  all-gather"))));
}

TEST_F(InspectFlightTest, JsonHoldsTheSame) {
  EXPECT_EQ(Inspect(attempt_, true), 0);
  const auto json = nlohmann::json::parse(output_);
  EXPECT_EQ(json["attempt"], 2);
  ASSERT_EQ(json["collectives"].size(), 6u);
  EXPECT_EQ(json["collectives"][5]["kind"], "exchange");
  EXPECT_EQ(json["collectives"][5]["not_entered"], nlohmann::json({2}));
  EXPECT_EQ(json["collectives"][5]["entered"].size(), 2u);
  EXPECT_EQ(json["records"][2]["status"]["phase"], "loading batch");
  EXPECT_EQ(json["records"][2]["events"].size(), 12u);
}

TEST_F(InspectFlightTest, DamagedFilesAreNamedAndTheOthersShown) {
  comm::ReplaceFile(files_, attempt_ + "/rank-1.pb", "not a record at all");
  EXPECT_EQ(Inspect(attempt_), 4);
  EXPECT_THAT(output_, AllOf(HasSubstr("2 of 4 ranks"), HasSubstr("no record of ranks 1, 3")));
  EXPECT_THAT(errors_, HasSubstr("rank-1.pb: not a flight record, or a damaged one"));
  EXPECT_EQ(Inspect(attempt_ + "/rank-1.pb"), 4);
  EXPECT_EQ(Inspect(attempt_ + "/rank-3.pb"), 4);  // not there
}

TEST_F(InspectFlightTest, ARunWithoutRecordsIsToldSo) {
  for (const char* flight : {"run/flight", "run/flight/"}) {
    files_.CreateFolders(folder_ / "run");
    EXPECT_FALSE(IsFlightPath(files_, folder_ / flight)) << "no run";
    WriteFileAtomically(files_, folder_ / "run/recipe.textproto", "");
    EXPECT_TRUE(IsFlightPath(files_, folder_ / flight));
    EXPECT_EQ(Inspect(folder_ / flight), 2);
    EXPECT_THAT(errors_, HasSubstr("no flight records"));
    files_.RemoveAll(folder_ / "run");
  }
}

}  // namespace
}  // namespace lockstep::launch
