#include "comm/flight_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files/fault_file_system.h"
#include "base/hash.h"
#include "comm/communicator.h"
#include "comm/exchange.h"
#include "comm/flight_file.h"
#include "comm/local/local_communicator.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::comm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Story(const FlightRecord& record) {
  std::vector<std::string> story;
  for (const Event& event : record.events()) {
    const char* verbs[] = {"phase", "executor", "begin", "enter", "leave", "note"};
    std::string line = verbs[event.type()];
    if (event.type() == Event::PHASE || event.type() == Event::EXECUTOR)
      line += event.idle() ? " idle" : " " + std::string(Name(event.phase()));
    else if (event.type() == Event::NOTE)
      line += " " + event.text();
    else
      line += " " + std::string(Name(event.kind())) + " " + std::to_string(event.collective());
    story.push_back(line);
  }
  return story;
}

TEST(FlightRecorderTest, KnowsWhatTheRankDoesAndSinceWhen) {
  FlightRecorder recorder(1, 4, "h2");
  EXPECT_EQ(recorder.status().phase(), Phase::START_UP);
  EXPECT_FALSE(recorder.status().has_step());
  recorder.EnterPhase(Phase::COMPUTING, 310);
  const uint64_t number = recorder.EnterCollective(CollectiveKind::ALL_GATHER, 64, "control records");
  Status status = recorder.status();
  EXPECT_EQ(number, 1u);
  EXPECT_EQ(status.phase(), Phase::COMPUTING);
  EXPECT_EQ(status.step(), 310);
  EXPECT_EQ(status.collective(), 1u);
  EXPECT_EQ(status.kind(), CollectiveKind::ALL_GATHER);
  EXPECT_EQ(status.bytes(), 64u);
  EXPECT_EQ(status.state(), CollectiveState::ENTERED);
  EXPECT_EQ(status.collective_step(), 310);
  EXPECT_LT(status.phase_seconds(), 10);
  recorder.LeaveCollective(number);
  EXPECT_EQ(recorder.status().state(), CollectiveState::LEFT);
}

TEST(FlightRecorderTest, TheExecutorThatHasBeenInItsPhaseForLongestSaysWhatTheRankDoes) {
  FlightRecorder recorder(0, 1, "h1");
  recorder.EnterPhase(Phase::EXCHANGING, 7);
  recorder.EnterExecutorPhase(0, Phase::COMPUTING);
  recorder.EnterExecutorPhase(1, Phase::LOADING_BATCH);
  recorder.EnterExecutorPhase(0, Phase::LOADING_BATCH);
  recorder.EnterExecutorPhase(0, Phase::COMPUTING);
  EXPECT_EQ(recorder.status().phase(), Phase::LOADING_BATCH);  // executor 1's
  recorder.LeaveExecutorPhase(1);
  EXPECT_EQ(recorder.status().phase(), Phase::COMPUTING);
  recorder.LeaveExecutorPhase(0);
  EXPECT_EQ(recorder.status().phase(), Phase::EXCHANGING);
  recorder.EnterExecutorPhase(FlightRecorder::kExecutors, Phase::COMPUTING);  // one too many: ignored
  EXPECT_EQ(recorder.status().phase(), Phase::EXCHANGING);
}

TEST(FlightRecorderTest, ACollectiveThatIsBegunIsEnteredWhenItsPartIsGivenAndOnlyThen) {
  FlightRecorder recorder(0, 2, "h1");
  const uint64_t first = recorder.BeginCollective(CollectiveKind::EXCHANGE, 4096, "", 5);
  EXPECT_EQ(recorder.status().state(), CollectiveState::BEGUN);
  recorder.EnterCollective(first);
  EXPECT_EQ(recorder.status().state(), CollectiveState::ENTERED);
  const uint64_t second = recorder.BeginCollective(CollectiveKind::EXCHANGE, 4096, "", 6);
  EXPECT_EQ(second, first + 1);
  recorder.EnterCollective(first);  // late: of a collective that is over
  EXPECT_EQ(recorder.status().state(), CollectiveState::BEGUN);
}

TEST(FlightRecorderTest, KeepsTheLastThousandEventsInOrder) {
  FlightRecorder recorder(2, 3, "h1");
  for (int i = 0; i < 2345; ++i) recorder.Note("event " + std::to_string(i));
  const FlightRecord record = recorder.Record("the end");
  ASSERT_EQ(record.events_size(), 1000);
  EXPECT_EQ(record.earlier_events(), 1345u);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(record.events(i).text(), "event " + std::to_string(1345 + i));
  for (int i = 1; i < 1000; ++i) ASSERT_GE(record.events(i).time_ns(), record.events(i - 1).time_ns());
  EXPECT_EQ(record.ending(), "the end");
  EXPECT_EQ(record.rank(), 2);
}

TEST(FlightRecorderTest, CutsLongTextsOff) {
  FlightRecorder recorder(0, 1, "h1");
  const std::string text(200, 'x');
  recorder.Note(text);
  recorder.SetWaiting(text, std::chrono::steady_clock::now() - std::chrono::seconds(5));
  EXPECT_EQ(recorder.Record("").events(0).text(), text.substr(0, FlightRecorder::kTextBytes));
  EXPECT_EQ(recorder.status().waiting_for(), text.substr(0, FlightRecorder::kTextBytes));
  EXPECT_GE(recorder.status().waiting_seconds(), 5);
  recorder.SetWaiting({}, {});
  EXPECT_EQ(recorder.status().waiting_for(), "");
}

TEST(FlightRecorderTest, CountsProgressOfAnyThread) {
  FlightRecorder recorder(0, 1, "h1");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 1000; ++k) {
        recorder.Progress();
        recorder.EnterExecutorPhase(i, Phase::COMPUTING);
        if (k % 100 == 0) recorder.Record("while it runs");
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(recorder.status().progress(), 8000u);
}

TEST(FlightRecorderTest, NumbersCollectivesAlikeOnAllRanks) {
  RunLocalWorld({.world_size = 3}, [](Communicator& comm) {
    FlightRecorder& recorder = comm.recorder();
    comm.Wait(*comm.Barrier(), "all");
    GatherStrings(comm, std::string(static_cast<size_t>(comm.rank() + 1), 'x'), "strings");
    BroadcastString(comm, "text", 1, "a string");
    comm.ShareWithinHost(100);
    EXPECT_THAT(Story(recorder.Record("")),
                ElementsAre("enter barrier 1", "leave barrier 1", "enter all-gather 2", "leave all-gather 2",
                            "enter all-gather 3", "leave all-gather 3", "enter broadcast 4", "leave broadcast 4",
                            "enter broadcast 5", "leave broadcast 5", "enter sharing of memory 6",
                            "leave sharing of memory 6"));
    EXPECT_EQ(recorder.Record("").events(4).bytes(), 3u);  // padded to the longest: the same on all ranks
    comm.Wait(*comm.Barrier(), "end");
  });
}

TEST(FlightRecorderTest, AnExchangeIsEnteredWithTheLastPieceAndLeftWhenAllWeightsAreNew) {
  RunLocalWorld({.world_size = 2, .ranks_per_host = {1, 1}}, [](Communicator& comm) {
    const FlightRecorder& recorder = comm.recorder();
    Exchange exchange(comm, {2, {{{0, 1}}, {{1, 2}}}, CutBuckets(3 * 4096, 4096)});
    for (const bool at_once : {true, false}) {
      exchange.Begin(310);
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) {
        EXPECT_EQ(recorder.status().state(), CollectiveState::BEGUN);
        exchange.PieceReady(0, bucket);
      }
      EXPECT_EQ(recorder.status().state(), CollectiveState::ENTERED);
      EXPECT_EQ(recorder.status().collective_step(), 310);
      EXPECT_EQ(recorder.status().bytes(), 3 * 4096 * sizeof(float));
      exchange.Reduce([](int, ElementRange, const SliceSum&) {}, at_once);
      exchange.Share();
    }
    EXPECT_THAT(Story(recorder.Record("")),
                ElementsAre("enter sharing of memory 1", "leave sharing of memory 1", "begin exchange 2",
                            "enter exchange 2", "leave exchange 2", "begin exchange 3", "enter exchange 3",
                            "leave exchange 3", "enter sharing of weights 4", "leave sharing of weights 4"));
  });
}

TEST(FlightFileTest, ARecordIsReadBackAsItWas) {
  const TemporaryFolder folder;
  FlightRecorder recorder(3, 4, "h\xff");  // a host may call itself anything
  recorder.SetAttempt(2);
  recorder.EnterPhase(Phase::SAVING_CHECKPOINT, 9);
  EXPECT_TRUE(WriteFlightRecord(FileSystem::Real(), recorder, folder / "flight/attempt-2", "SIGTERM"));
  std::vector<std::string> damaged;
  const std::vector<FlightRecord> records =
      ReadFlightRecords(FileSystem::Real(), folder / "flight/attempt-2", &damaged);
  EXPECT_THAT(damaged, IsEmpty());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].host(), "h\xff");
  EXPECT_EQ(records[0].attempt(), 2u);
  EXPECT_EQ(records[0].ending(), "SIGTERM");
  EXPECT_THAT(Story(records[0]), ElementsAre("phase saving checkpoint"));
  EXPECT_THAT(FileSystem::Real().List(folder / "flight/attempt-2"), ElementsAre("rank-3.pb"));
}

TEST(FlightFileTest, AFailingDiskIsNoErrorOfTheRecord) {
  const TemporaryFolder folder;
  FlightRecorder recorder(0, 1, "h");
  for (int at = 1; at <= 4; ++at) {
    FaultFileSystem failing(FileSystem::Real(), {.at = at, .fault = Fault::kFail, .error_number = ENOSPC});
    EXPECT_FALSE(WriteFlightRecord(failing, recorder, folder / ("flight-" + std::to_string(at)), "")) << at;
  }
}

TEST(FlightFileTest, EveryChangedOrMissingByteIsNoticed) {
  FlightRecorder recorder(0, 1, "h");
  recorder.Note("something");
  const std::string bytes = Encode(recorder.Record("end"));
  EXPECT_NO_THROW(DecodeFlightRecord(bytes, "file"));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_THROW(DecodeFlightRecord(changed, "file"), Error) << i;
    EXPECT_THROW(DecodeFlightRecord(bytes.substr(0, i), "file"), Error) << i;
  }
}

TEST(FlightFileTest, ANewerFormatIsRefusedInWords) {
  Heartbeat heartbeat;
  heartbeat.set_world_size(1);
  heartbeat.set_format_version(1);
  const std::string now = Encode(heartbeat);
  ASSERT_EQ(now.substr(0, 2), "\x08\x01");  // format_version, as the first field
  std::string body = now.substr(0, now.size() - 9);
  body[1] = 2;
  // A hash that fits, as the newer program would write it.
  const uint64_t hash = Hash64(body);
  body += now[now.size() - 9];
  for (int i = 0; i < 8; ++i) body.push_back(static_cast<char>(hash >> (8 * i)));
  try {
    DecodeHeartbeat(body, "rank-0.pb");
    FAIL() << "read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    EXPECT_THAT(error.what(), HasSubstr("rank-0.pb: heartbeat of format 2; this program reads up to 1"));
  }
}

}  // namespace
}  // namespace lockstep::comm
