#include "trainer/run/profile/clock_offset.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "comm/local/local_communicator.h"
#include "trainer/profile/event_log.h"

namespace lockstep::run {
namespace {

TEST(ClockOffset, FollowsTheExchangeThatTookLeast) {
  // Rank 0's clock is 1,000 ns ahead. The first answer waited, on its way back, for 400 ns.
  const std::vector<ClockExchange> exchanges = {{100, 1150, 600}, {700, 1740, 790}, {900, 1990, 1100}};
  const records::ClockReading reading = EstimateOffset(exchanges);
  EXPECT_EQ(reading.at_ns, 745);
  EXPECT_EQ(reading.offset_ns, 995);
  EXPECT_EQ(reading.error_ns, 45);
}

TEST(ClockOffset, IsOffByTheErrorAtMostHoweverUnevenTheWaysAre) {
  for (const int64_t there : {0, 1, 10, 99, 100}) {
    const int64_t asked = 5000, heard = asked + 100;
    const std::vector<ClockExchange> exchanges = {{asked, asked + there - 777, heard}};
    const records::ClockReading reading = EstimateOffset(exchanges);
    EXPECT_LE(std::abs(reading.offset_ns + 777), reading.error_ns) << there;
  }
}

TEST(ClockOffset, OfRanksWithClocksOfTheirOwnIsWithinTheStatedError) {
  constexpr int kRanks = 3;
  const auto shift_of = [](int rank) { return int64_t{rank} * 3'600'000'000'000 * (rank % 2 == 0 ? 1 : -1); };
  comm::LocalWorldOptions options;
  options.world_size = kRanks;
  options.ranks_per_host = {1, 1, 1};
  // Uneven ways: rank 2 is slow in each of its calls.
  options.on_operation = [](int rank, int64_t) {
    if (rank == 2) std::this_thread::sleep_for(std::chrono::microseconds(300));
  };
  std::vector<records::ClockReading> readings(kRanks);
  comm::RunLocalWorld(options, [&](comm::Communicator& comm) {
    const int rank = comm.rank();
    readings[static_cast<size_t>(rank)] = ReadClock(comm, [&] { return profile::EventLog::Now() + shift_of(rank); });
  });
  EXPECT_EQ(readings[0].offset_ns, 0);
  EXPECT_EQ(readings[0].error_ns, 0);
  for (int rank = 1; rank < kRanks; ++rank) {
    const records::ClockReading& reading = readings[static_cast<size_t>(rank)];
    EXPECT_GT(reading.error_ns, 0);
    EXPECT_LT(reading.error_ns, 1'000'000'000) << "an error that says nothing";
    EXPECT_LE(std::abs(reading.offset_ns + shift_of(rank)), reading.error_ns) << rank;
  }
}

}  // namespace
}  // namespace lockstep::run
