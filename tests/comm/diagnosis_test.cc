#include "comm/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lockstep::comm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kSilent = 30;

Topology HostsOf(std::vector<std::string> hosts) {
  Topology topology;
  topology.world_size = static_cast<int>(hosts.size());
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (i == 0 || hosts[i] != hosts[i - 1]) topology.hosts.emplace_back();
    topology.hosts.back().push_back(static_cast<int>(i));
    topology.host_of.push_back(static_cast<int>(topology.hosts.size()) - 1);
  }
  topology.host_name_of = std::move(hosts);
  return topology;
}

/// A rank that gave its part to a collective 61 s ago, and beats.
Sighting In(CollectiveKind::Value kind, uint64_t number, int64_t step = -1, uint64_t bytes = 0) {
  Sighting sighting;
  Status& status = *sighting.heartbeat.emplace().mutable_status();
  status.set_phase(Phase::COMPUTING);
  status.set_collective(number);
  status.set_kind(kind);
  status.set_state(CollectiveState::ENTERED);
  status.set_bytes(bytes);
  if (step >= 0) {
    status.set_collective_step(step);
    status.set_step(step);
  }
  status.set_progress_seconds(60);
  sighting.age_seconds = 1;
  return sighting;
}

/// A rank that has begun the same, but is at work on its own part.
Sighting Before(Sighting sighting, Phase::Value phase, double progress_seconds, double age) {
  Status& status = *sighting.heartbeat.value().mutable_status();
  status.set_state(CollectiveState::BEGUN);
  status.set_phase(phase);
  status.set_progress_seconds(progress_seconds);
  sighting.age_seconds = age;
  return sighting;
}

Sighting Silent(Sighting sighting, double age) {
  sighting.heartbeat.value().mutable_status()->set_progress_seconds(0.4);
  sighting.age_seconds = age;
  return sighting;
}

const Sighting kInExchange = In(CollectiveKind::EXCHANGE, 4711, 310, 4096);
const Topology kTwoHosts = HostsOf({"h1", "h1", "h2", "h2"});

TEST(DiagnosisTest, NamesTheOneRankThatIsStoppedBeforeACollective) {
  const Sighting stopped = Before(kInExchange, Phase::LOADING_BATCH, 0.6, 60);
  const Diagnosis diagnosis = Diagnose(std::vector{kInExchange, kInExchange, kInExchange, stopped}, kTwoHosts, kSilent);
  EXPECT_EQ(diagnosis.message,
            "rank 3 on h2 has not entered exchange 4711 of step 310 (last seen: loading batch, 61 s ago); ranks 0-2 "
            "wait there");
  EXPECT_THAT(diagnosis.culprits, ElementsAre(3));
}

TEST(DiagnosisTest, TellsARankThatLivesButIsStuckInItsOwnWork) {
  const Sighting stuck = Before(kInExchange, Phase::COMPUTING, 60, 1);
  const Diagnosis diagnosis = Diagnose(std::vector{kInExchange, stuck, kInExchange, kInExchange}, kTwoHosts, kSilent);
  EXPECT_EQ(diagnosis.message,
            "rank 1 on h1 is stuck computing in step 310 (no progress for 61 s); ranks 0, 2-3 wait in exchange 4711 of "
            "step 310");
  EXPECT_THAT(diagnosis.culprits, ElementsAre(1));
}

TEST(DiagnosisTest, NamesARankThatWentElsewhereAfterACollective) {
  Sighting saving = In(CollectiveKind::ALL_GATHER, 17);
  saving.heartbeat.value().mutable_status()->set_state(CollectiveState::LEFT);
  saving.heartbeat.value().mutable_status()->set_phase(Phase::SAVING_CHECKPOINT);
  const Sighting waiting = In(CollectiveKind::BARRIER, 18);
  EXPECT_EQ(Diagnose(std::vector{waiting, saving}, HostsOf({"h1", "h2"}), kSilent).message,
            "rank 1 on h2 is stuck saving checkpoint (no progress for 61 s); rank 0 waits in barrier 18");
  EXPECT_EQ(Diagnose(std::vector{waiting, Silent(saving, 61)}, HostsOf({"h1", "h2"}), kSilent).message,
            "rank 1 on h2 has not entered barrier 18 (last seen: saving checkpoint, 61 s ago); rank 0 waits there");
}

TEST(DiagnosisTest, NamesSeveralRanksByHostAndByWhatTheyDid) {
  const Sighting loading = Before(kInExchange, Phase::LOADING_BATCH, 0, 62);
  const Sighting computing = Before(kInExchange, Phase::COMPUTING, 0, 61);
  const Diagnosis same = Diagnose(std::vector{loading, kInExchange, loading, loading}, kTwoHosts, kSilent);
  EXPECT_EQ(
      same.message,
      "ranks 0 on h1 and 2-3 on h2 have not entered exchange 4711 of step 310 (last seen: loading batch, 62 s ago); "
      "rank 1 waits there");
  EXPECT_THAT(same.culprits, ElementsAre(0, 2, 3));
  EXPECT_EQ(Diagnose(std::vector{kInExchange, loading, kInExchange, computing}, kTwoHosts, kSilent).message,
            "rank 1 on h1 has not entered exchange 4711 of step 310 (last seen: loading batch, 62 s ago); rank 3 on h2 "
            "has not "
            "entered exchange 4711 of step 310 (last seen: computing, 61 s ago); ranks 0, 2 wait there");
}

TEST(DiagnosisTest, NamesARankThatWasNeverSeen) {
  Sighting unseen;
  unseen.age_seconds = 61;
  const Diagnosis diagnosis = Diagnose(std::vector{kInExchange, unseen}, HostsOf({"h1", "h2"}), kSilent);
  EXPECT_EQ(diagnosis.message, "rank 1 on h2 was never seen; rank 0 waits in exchange 4711 of step 310");
  EXPECT_THAT(diagnosis.culprits, ElementsAre(1));
}

TEST(DiagnosisTest, NamesARankThatStoppedInsideTheCollective) {
  const Diagnosis diagnosis =
      Diagnose(std::vector{kInExchange, kInExchange, Silent(kInExchange, 61)}, HostsOf({"h1", "h1", "h2"}), kSilent);
  EXPECT_EQ(diagnosis.message,
            "rank 2 on h2 has given no sign of life for 61 s (last seen: waiting in exchange 4711 of step 310); ranks "
            "0-1 wait in "
            "exchange 4711 of step 310");
  EXPECT_THAT(diagnosis.culprits, ElementsAre(2));
}

TEST(DiagnosisTest, NamesAllWhereNobodyWaitsForAnybody) {
  const Sighting stuck = Before(kInExchange, Phase::LOADING_BATCH, 60, 1);
  EXPECT_EQ(Diagnose(std::vector{stuck, stuck, stuck, stuck}, kTwoHosts, kSilent).message,
            "ranks 0-1 on h1 and 2-3 on h2 are stuck loading batch in step 310 (no progress for 61 s)");
}

TEST(DiagnosisTest, BlamesTheNetworkWhenAllAreThere) {
  const Diagnosis two = Diagnose(std::vector{kInExchange, kInExchange, kInExchange, kInExchange}, kTwoHosts, kSilent);
  EXPECT_EQ(
      two.message,
      "all ranks are in exchange 4711 of step 310 and nothing moves, for 61 s: the network between h1 and h2 no longer "
      "delivers");
  EXPECT_THAT(two.culprits, IsEmpty());
  EXPECT_EQ(
      Diagnose(std::vector(2, kInExchange), HostsOf({"h1", "h1"}), kSilent).message,
      "all ranks are in exchange 4711 of step 310 and nothing moves, for 61 s: messages between ranks on h1 no longer "
      "arrive");
  EXPECT_EQ(
      Diagnose(std::vector(6, kInExchange), HostsOf({"a", "b", "c", "d", "e", "f"}), kSilent).message,
      "all ranks are in exchange 4711 of step 310 and nothing moves, for 61 s: the network between a, b, c and 3 more "
      "hosts no longer delivers");
}

TEST(DiagnosisTest, NamesARankThatStillWaitsInACollectiveThatOthersHaveLeft) {
  const Sighting newer = In(CollectiveKind::BARRIER, 18);
  const Sighting older = In(CollectiveKind::BROADCAST, 17, -1, 64);
  const Diagnosis diagnosis = Diagnose(std::vector{newer, older, newer}, HostsOf({"h1", "h2", "h3"}), kSilent);
  EXPECT_EQ(diagnosis.message,
            "rank 1 on h2 still waits in broadcast 17, which ranks 0, 2 have left 61 s ago: what was sent there has "
            "not arrived; "
            "see the network");
  EXPECT_THAT(diagnosis.culprits, ElementsAre(1));
}

TEST(DiagnosisTest, NamesRanksThatEnteredACollectiveWithAnotherCountOrKind) {
  const Sighting usual = In(CollectiveKind::ALL_GATHER, 17, -1, 32);
  EXPECT_EQ(Diagnose(std::vector{usual, usual, In(CollectiveKind::ALL_GATHER, 17, -1, 64)}, HostsOf({"h1", "h1", "h1"}),
                     kSilent)
                .message,
            "rank 2 on h1 entered all-gather 17 with 64 bytes, ranks 0-1 with 32 bytes");
  EXPECT_EQ(Diagnose(std::vector{usual, In(CollectiveKind::BARRIER, 17)}, HostsOf({"h1", "h2"}), kSilent).message,
            "rank 1 on h2 entered barrier 17 with no bytes, rank 0 all-gather 17 with 32 bytes");
  EXPECT_EQ(
      Diagnose(std::vector{kInExchange, In(CollectiveKind::EXCHANGE, 4711, 310, 8192)}, HostsOf({"h1", "h2"}), kSilent)
          .message,
      "rank 1 on h2 entered exchange 4711 with 2048 elements, rank 0 with 1024 elements");
}

TEST(DiagnosisTest, AStragglerIsNamedWithWhatItLosesItsTimeBy) {
  const Topology topology = HostsOf({"h1", "h1", "h2"});
  const std::vector<OwnSeconds> even = {{0.1, 0.8}, {0.1, 0.9}, {0.2, 1.0}};
  EXPECT_EQ(DescribeStraggler(even, topology, 2), "");
  const std::vector<OwnSeconds> slow_disk = {{0.1, 0.8}, {0.1, 0.9}, {1.6, 0.8}};
  EXPECT_EQ(DescribeStraggler(slow_disk, topology, 2),
            "rank 2 on h2 is a straggler: 2.4 s a step where the median rank takes 1 s; it loses them loading batches");
  const std::vector<OwnSeconds> slow_core = {{0.1, 0.8}, {0.1, 2.9}, {0.1, 0.8}};
  EXPECT_EQ(DescribeStraggler(slow_core, topology, 2),
            "rank 1 on h1 is a straggler: 3 s a step where the median rank takes 0.9 s; it loses them computing");
  // Milliseconds are noise, and a rank alone is slower than nobody.
  EXPECT_EQ(DescribeStraggler(std::vector<OwnSeconds>{{0, 0.001}, {0, 0.005}}, HostsOf({"a", "b"}), 2), "");
  EXPECT_EQ(DescribeStraggler(std::vector<OwnSeconds>{{9, 9}}, HostsOf({"a"}), 2), "");
}

}  // namespace
}  // namespace lockstep::comm
