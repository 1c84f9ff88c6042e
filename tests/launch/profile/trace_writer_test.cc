#include "launch/profile/trace_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json_fields.h"
#include "tests/launch/profile/small_profile.h"

namespace lockstep::launch {
namespace {

Json TraceOf(const ProfiledRun& run) {
  std::string text;
  WriteTrace(run, [&](std::string_view piece) { text += piece; });
  return Json::parse(text);
}

ProfiledRun SmallRun() { return Align({SmallRank(0, 0), SmallRank(1, 123'456'789)}); }

const Json& Find(const Json& trace, int pid, const std::string& name) {
  for (const Json& event : trace.at("traceEvents"))
    if (event.at("ph") == "X" && event.at("pid") == pid && event.at("name") == name) return event;
  throw std::out_of_range(name);
}

TEST(TraceWriter, ProcessesAreRanksAndThreadsAreNamed) {
  const Json trace = TraceOf(SmallRun());
  std::map<int, std::string> processes;
  std::map<std::pair<int, int>, std::string> threads;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "M") continue;
    if (event.at("name") == "process_name") processes[event.at("pid")] = event.at("args").at("name");
    if (event.at("name") == "thread_name") threads[{event.at("pid"), event.at("tid")}] = event.at("args").at("name");
  }
  EXPECT_EQ(processes, (std::map<int, std::string>{{0, "rank 0 on h1"}, {1, "rank 1 on h\"2\", clock +- 0.7 us"}}));
  std::vector<std::string> names;
  for (const auto& [place, name] : threads) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("communication", "executor 0", "communication", "executor 0"));
  for (const Json& event : trace.at("traceEvents"))
    EXPECT_TRUE(threads.contains({event.at("pid"), event.at("tid")})) << event;
}

TEST(TraceWriter, EventsSayWhenAndWhat) {
  const Json trace = TraceOf(SmallRun());
  for (int rank = 0; rank < 2; ++rank) {
    const Json& op = Find(trace, rank, "fc1/weight_grad");
    EXPECT_EQ(op.at("cat"), "op");
    EXPECT_DOUBLE_EQ(op.at("ts").get<double>(), 33);
    EXPECT_DOUBLE_EQ(op.at("dur").get<double>(), 20);
    EXPECT_EQ(op.at("args"), (Json{{"step", 10},
                                   {"lane", rank},
                                   {"kind", "linear_weight_grad"},
                                   {"flop", 80000},
                                   {"bytes", 4000},
                                   {"GFLOP/s", 4.0}}));
    EXPECT_EQ(Find(trace, rank, "sum and update of bucket 1").at("args"), (Json{{"step", 10}, {"bucket", 1}}));
    EXPECT_EQ(Find(trace, rank, "step 10").at("dur"), 100);
    EXPECT_EQ(Find(trace, rank, "exchange of weights").at("cat"), "waiting");
  }
}

TEST(TraceWriter, ClockErrorsAreStated) {
  const Json trace = TraceOf(SmallRun());
  const Json& ranks = trace.at("metadata").at("ranks");
  EXPECT_EQ(ranks.at(0).at("clock_error_ns"), 0);
  EXPECT_EQ(ranks.at(1).at("clock_error_ns"), 700);
  EXPECT_EQ(ranks.at(1).at("clock_offset_ns"), (Json{-123'456'789, -123'456'789}));
}

// The Trace Event Format has complete events of a thread lie within each other, or apart.
TEST(TraceWriter, EventsOfAThreadAreNestedOrApart) {
  const Json trace = TraceOf(SmallRun());
  std::map<std::pair<int, int>, std::vector<double>> open;  // ends
  int events = 0;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    ++events;
    std::vector<double>& ends = open[{event.at("pid"), event.at("tid")}];
    const double begin = event.at("ts"), end = begin + event.at("dur").get<double>();
    while (!ends.empty() && ends.back() <= begin) ends.pop_back();
    EXPECT_TRUE(ends.empty() || end <= ends.back()) << event;
    ends.push_back(end);
  }
  EXPECT_EQ(events, 2 * 13);
}

TEST(TraceWriter, ALargeTraceComesInPieces) {
  records::RankProfile rank = SmallRank(0, 0);
  rank.world_size = 1;
  const profile::Event op = rank.threads[1].events[2];
  rank.threads[1].events.assign(5000, op);
  const ProfiledRun run = Align({rank});
  size_t pieces = 0, largest = 0;
  std::string text;
  WriteTrace(run, [&](std::string_view piece) {
    ++pieces;
    largest = std::max(largest, piece.size());
    text += piece;
  });
  EXPECT_GT(pieces, 5u);
  EXPECT_LT(largest, size_t{1} << 17);
  EXPECT_GT(Json::parse(text).at("traceEvents").size(), 5000u);
}

}  // namespace
}  // namespace lockstep::launch
