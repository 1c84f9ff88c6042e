#include "comm/agreement.h"

#include <gtest/gtest.h>

#include <mutex>
#include <new>
#include <variant>

#include "comm/local/local_communicator.h"

namespace lockstep::comm {
namespace {

using testing::Message;

/// How Together ended on each rank.
struct Ending {
  std::optional<Error> error;
  int aborted_by = -1, exit_code = 0;
};

std::vector<Ending> EndingsOf(int ranks, const std::function<void(int rank)>& body) {
  std::vector<Ending> endings(static_cast<size_t>(ranks));
  // Two nodes, so that hosts have names of their own.
  comm::RunLocalWorld({ranks, {ranks - 1, 1}, {}}, [&](comm::Communicator& comm) {
    Ending& ending = endings[static_cast<size_t>(comm.rank())];
    try {
      Together(comm, "a test", [&] { body(comm.rank()); });
    } catch (const comm::PeerAborted& aborted) {
      ending.aborted_by = aborted.rank();
      ending.exit_code = aborted.exit_code();
    } catch (const Error& error) {
      ending.error = error;
    }
  });
  return endings;
}

TEST(Together, GoesOnWhereNoRankFails) {
  for (const Ending& ending : EndingsOf(3, [](int) {})) {
    EXPECT_FALSE(ending.error);
    EXPECT_EQ(ending.aborted_by, -1);
  }
}

TEST(Together, TheRankThatFailedSaysWhoAndWhereItIs) {
  const std::vector<Ending> endings = EndingsOf(4, [](int rank) {
    if (rank == 3) throw Error(ErrorKind::kData, "is torn", "train.csv:7", "copy it again");
  });
  ASSERT_TRUE(endings[3].error);
  EXPECT_STREQ(endings[3].error->what(), "rank 3 on host1: train.csv:7: is torn (copy it again)");
  EXPECT_EQ(endings[3].error->kind(), ErrorKind::kData);
  for (int rank : {0, 1, 2}) {
    EXPECT_FALSE(endings[static_cast<size_t>(rank)].error) << rank;
    EXPECT_EQ(endings[static_cast<size_t>(rank)].aborted_by, 3);
    EXPECT_EQ(endings[static_cast<size_t>(rank)].exit_code, 3);
  }
}

TEST(Together, OfSeveralThatFailTheLowestSpeaks) {
  const std::vector<Ending> endings = EndingsOf(4, [](int rank) {
    if (rank == 1) throw Error(ErrorKind::kUsage, "no such file");
    if (rank == 3) throw Error(ErrorKind::kData, "is torn");
  });
  ASSERT_TRUE(endings[1].error);
  EXPECT_STREQ(endings[1].error->what(), "rank 1 on host0: no such file");
  for (int rank : {0, 2, 3}) {
    EXPECT_FALSE(endings[static_cast<size_t>(rank)].error) << rank;
    EXPECT_EQ(endings[static_cast<size_t>(rank)].aborted_by, 1);
    EXPECT_EQ(endings[static_cast<size_t>(rank)].exit_code, 2);
  }
}

TEST(Together, NamesNoRankWhereAllFail) {
  const std::vector<Ending> endings =
      EndingsOf(3, [](int) { throw Error(ErrorKind::kUsage, "is missing", "train.global_batch"); });
  ASSERT_TRUE(endings[0].error);
  EXPECT_STREQ(endings[0].error->what(), "train.global_batch: is missing");
  EXPECT_EQ(endings[1].aborted_by, 0);
  EXPECT_EQ(endings[2].aborted_by, 0);
}

TEST(ErrorText, CarriesAllOfAnError) {
  const Error error(ErrorKind::kCheckpoint, "message", "where", "hint");
  const Error copy = FromText(ToText(error));
  EXPECT_EQ(copy.kind(), error.kind());
  EXPECT_STREQ(copy.what(), error.what());
}

TEST(Together, PathsThatAreNoUtf8GetThrough) {
  const Error error(ErrorKind::kStorage, "can't read caf\xe9", "/data/caf\xe9", "look at \xff");
  ErrorText text;
  ASSERT_TRUE(text.ParseFromString(ToText(error).SerializeAsString()));
  EXPECT_STREQ(FromText(text).what(), error.what());
  EXPECT_EQ(FromText(text).kind(), ErrorKind::kStorage);
}

TEST(Together, WhatIsNoErrorEndsAllRanksToo) {
  const std::vector<Ending> endings = EndingsOf(3, [](int rank) {
    if (rank == 1) throw std::bad_alloc();
  });
  for (const int rank : {0, 2}) {
    EXPECT_EQ(endings[static_cast<size_t>(rank)].aborted_by, 1);
    EXPECT_EQ(endings[static_cast<size_t>(rank)].exit_code, ExitCodeOf(ErrorKind::kMemory));
  }
}

}  // namespace
}  // namespace lockstep::comm
