#include "comm/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/memory.h"
#include "comm/local/local_communicator.h"

namespace lockstep::comm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<std::byte> BytesOf(int& value) { return std::as_writable_bytes(std::span(&value, 1)); }

TEST(LocalCommunicatorTest, GathersStringsOfDifferentLengthsInRankOrder) {
  RunLocalWorld({.world_size = 4}, [](Communicator& comm) {
    const std::string mine(static_cast<size_t>(comm.rank()), static_cast<char>('a' + comm.rank()));
    EXPECT_THAT(GatherStrings(comm, mine, "strings"), ElementsAre("", "b", "cc", "ddd"));
  });
}

TEST(LocalCommunicatorTest, GathersStringsAtOneRank) {
  RunLocalWorld({.world_size = 4}, [](Communicator& comm) {
    const std::string mine(static_cast<size_t>(comm.rank()), static_cast<char>('a' + comm.rank()));
    for (int root = 0; root < 4; ++root) {
      const std::vector<std::string> all = GatherStringsAt(comm, mine, root, "strings");
      if (comm.rank() == root)
        EXPECT_THAT(all, ElementsAre("", "b", "cc", "ddd"));
      else
        EXPECT_TRUE(all.empty());
    }
  });
}

// More than a message takes.
TEST(LocalCommunicatorTest, GathersLongStringsInPieces) {
  RunLocalWorld({.world_size = 2}, [](Communicator& comm) {
    std::string mine(comm.rank() == 1 ? (size_t{64} << 20) + 5 : 0, 'x');
    if (!mine.empty()) mine.back() = 'y';
    const std::vector<std::string> all = GatherStringsAt(comm, mine, 0, "strings");
    if (comm.rank() == 1) return;
    EXPECT_EQ(all[1].size(), (size_t{64} << 20) + 5);
    EXPECT_EQ(all[1].find('y'), all[1].size() - 1);
  });
}

TEST(LocalCommunicatorTest, BroadcastsFromAnyRoot) {
  RunLocalWorld({.world_size = 3}, [](Communicator& comm) {
    for (int root = 0; root < 3; ++root) {
      EXPECT_EQ(BroadcastString(comm, "from " + std::to_string(comm.rank()), root, "a string"),
                "from " + std::to_string(root));
    }
    EXPECT_EQ(BroadcastString(comm, "", 0, "nothing"), "");
  });
}

TEST(LocalCommunicatorTest, KeepsTheOrderOfMessagesOfOneTagAndTellsTagsApart) {
  RunLocalWorld({.world_size = 2}, [](Communicator& comm) {
    int a = 1, b = 2, c = 3;
    std::vector<std::unique_ptr<Pending>> pending;
    if (comm.rank() == 0) {
      pending.push_back(comm.Send(BytesOf(a), 1, 7));
      pending.push_back(comm.Send(BytesOf(b), 1, 7));
      pending.push_back(comm.Send(BytesOf(c), 1, 8));
    } else {
      a = b = c = 0;
      pending.push_back(comm.Receive(BytesOf(c), 0, 8));
      pending.push_back(comm.Receive(BytesOf(a), 0, 7));
      pending.push_back(comm.Receive(BytesOf(b), 0, 7));
    }
    for (size_t i = pending.size(); i-- > 0;) comm.Wait(*pending[i], "messages");
    EXPECT_THAT((std::vector<int>{a, b, c}), ElementsAre(1, 2, 3));
  });
}

TEST(LocalCommunicatorTest, SharesZeroedMemoryOfDifferentSizesWithinAHostOnly) {
  RunLocalWorld({.world_size = 3, .ranks_per_host = {2, 1}}, [](Communicator& comm) {
    const auto segments = comm.ShareWithinHost(static_cast<size_t>(comm.rank()) * 100);
    ASSERT_EQ(segments.size(), comm.rank() < 2 ? 2u : 1u);
    EXPECT_EQ(segments.back()->data().size(), comm.rank() < 2 ? 100u : 200u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(segments.back()->data().data()) % kBufferAlignment, 0u);
    std::byte& first = segments.back()->data()[0];
    EXPECT_EQ(first, std::byte{0});
    comm.Wait(*comm.Barrier(), "zeros seen");
    if (comm.rank() > 0) first = static_cast<std::byte>(comm.rank());
    comm.Wait(*comm.Barrier(), "written");
    EXPECT_EQ(first, comm.rank() < 2 ? std::byte{1} : std::byte{2});
  });
}

TEST(LocalCommunicatorTest, NumbersHostsInRankOrder) {
  RunLocalWorld({.world_size = 5, .ranks_per_host = {1, 3, 1}}, [](Communicator& comm) {
    const Topology& topology = comm.topology();
    EXPECT_THAT(topology.host_of, ElementsAre(0, 1, 1, 1, 2));
    EXPECT_EQ(topology.local_rank(), std::vector({0, 0, 1, 2, 0})[static_cast<size_t>(comm.rank())]);
    EXPECT_EQ(topology.local_size(), std::vector({1, 3, 3, 3, 1})[static_cast<size_t>(comm.rank())]);
    EXPECT_EQ(topology.Name(4), "rank 4 on host2");
    EXPECT_EQ(topology.Name(), topology.Name(comm.rank()));
  });
}

TEST(LocalCommunicatorTest, AnErrorInOneRankEndsTheOthersWithItsCodeAndIsRethrown) {
  std::atomic<int> told = 0;
  try {
    RunLocalWorld({.world_size = 4}, [&](Communicator& comm) {
      if (comm.rank() == 2) throw Error(ErrorKind::kData, "label 11 of 10");
      try {
        comm.Wait(*comm.Barrier(), "all");
      } catch (const PeerAborted& aborted) {
        EXPECT_EQ(aborted.rank(), 2);
        EXPECT_EQ(aborted.exit_code(), 3);
        ++told;
        throw;
      }
    });
    FAIL() << "no error came out";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "label 11 of 10");
  }
  EXPECT_EQ(told, 3);
}

TEST(LocalCommunicatorTest, ADeathInsideAnOperationEndsTheWorld) {
  LocalWorldOptions options{.world_size = 3};
  options.on_operation = [](int rank, int64_t operation) {
    if (rank == 1 && operation == 5) throw std::runtime_error("killed");
  };
  EXPECT_THROW(RunLocalWorld(options,
                             [](Communicator& comm) {
                               for (int i = 0; i < 100; ++i) comm.Wait(*comm.Barrier(), "all");
                             }),
               std::runtime_error);
}

TEST(CommunicatorTest, AWaitPastTheDeadlineNamesWhatItWaitedForAndWhere) {
  RunLocalWorld({.world_size = 1}, [](Communicator& comm) {
    comm.waiter().SetDeadline(std::chrono::seconds(0));
    try {
      comm.WaitUntil([] { return false; }, "the exchange of bucket 3 of step 120");
      FAIL() << "returned";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kPeer);
      EXPECT_THAT(error.message(), HasSubstr("the exchange of bucket 3 of step 120"));
      EXPECT_THAT(error.where(), HasSubstr("rank 0 on "));
    }
  });
}

TEST(CommunicatorTest, AnInterruptEndsAWait) {
  RunLocalWorld({.world_size = 1}, [](Communicator& comm) {
    int polls = 0;
    {
      const Interrupt stop(comm.waiter(), [&] {
        if (++polls == 100) throw Error(ErrorKind::kPreempted, "SIGTERM");
      });
      const Interrupt other(comm.waiter(), [] {});  // a second one takes nothing away
      EXPECT_THROW(comm.WaitUntil([] { return false; }, "nothing"), Error);
      EXPECT_EQ(polls, 100);
    }
    comm.Wait(*comm.Barrier(), "the end");
    EXPECT_EQ(polls, 100);
  });
}

}  // namespace
}  // namespace lockstep::comm
