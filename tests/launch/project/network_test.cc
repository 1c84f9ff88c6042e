#include "launch/project/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "base/error.h"
#include "launch/project/links.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(const std::string& text) {
  try {
    ParseNetwork(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Network, WordsReplaceDefaults) {
  const Network network = ParseNetwork("gbit=1.5, ranks_per_host=2,straggle=0");
  EXPECT_EQ(network.gbit, 1.5);
  EXPECT_EQ(network.ranks_per_host, 2);
  EXPECT_EQ(network.straggle, 0);
  EXPECT_EQ(network.latency_us, Network().latency_us);
  EXPECT_EQ(ParseNetwork("").gbit, Network().gbit);
}

TEST(Network, IsReadFromAFile) {
  const std::string path = testing::TempDir() + "/network.txt";
  std::ofstream(path) << "# the old cluster\ngbit=10\n\nlatency_us = 30  # TCP\n";
  const Network network = ParseNetwork(path);
  EXPECT_EQ(network.gbit, 10);
  EXPECT_EQ(network.latency_us, 30);
  std::remove(path.c_str());
}

TEST(Network, WrongWordsAreNamed) {
  EXPECT_THAT(ErrorOf("gbits=1"), HasSubstr("'gbits=1' says nothing of a network (did you mean gbit?)"));
  EXPECT_THAT(ErrorOf("gbit"), HasSubstr("'gbit' says nothing"));
  EXPECT_THAT(ErrorOf("nowhere.txt"), HasSubstr("or a file of them"));
  for (const char* word : {"gbit=0", "gbit=-1", "gbit=x", "gbit=", "gbit=nan", "gbit=inf", "gbit=1e300", "gbit=1x",
                           "ranks_per_host=1.5", "ranks_per_host=0"})
    EXPECT_THAT(ErrorOf(word), HasSubstr("is no value of")) << word;
  EXPECT_THAT(ErrorOf("uplink_gbit=1"), HasSubstr("give hosts_per_rack"));
}

TEST(Network, TheLastHostMayHaveFewerRanks) {
  const comm::Topology topology = TopologyOf(5, ParseNetwork("ranks_per_host=2"));
  EXPECT_EQ(topology.world_size, 5);
  EXPECT_THAT(topology.hosts, ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
  EXPECT_THAT(topology.host_of, ElementsAre(0, 0, 1, 1, 2));
}

TEST(Links, CarryOneMessageAfterTheOther) {
  const Network network = ParseNetwork("ranks_per_host=1,gbit=8e-6");  // 1,000 bytes a second
  Links links(TopologyOf(3, network), network);
  const std::vector<int> path = links.Path(0, 2);
  ASSERT_EQ(path.size(), 2u);
  EXPECT_EQ(links.Carry(path[0], 0, 0, 500).end, 0.5);
  const Links::Passage second = links.Carry(path[0], 0.25, 0.25, 500);
  EXPECT_EQ(second.begin, 0.5);
  EXPECT_EQ(second.end, 1);
  EXPECT_EQ(links.Carry(path[1], second.begin, second.end, 500).end, 1);  // cut-through: beside the first link
  EXPECT_EQ(links.Path(1, 2).back(), path.back());
  EXPECT_EQ(links.busiest(), 1);
}

TEST(Links, RacksShareTheirUplinks) {
  const Network network = ParseNetwork("ranks_per_host=1,hosts_per_rack=2,gbit=8e-6,uplink_gbit=4e-6");
  Links links(TopologyOf(4, network), network);
  EXPECT_EQ(links.Path(0, 1).size(), 2u);
  const std::vector<int> path = links.Path(0, 2), other = links.Path(1, 3);
  ASSERT_EQ(path.size(), 4u);
  EXPECT_EQ(path[1], other[1]);
  EXPECT_EQ(path[2], other[2]);
  EXPECT_NE(path[1], path[2]);
  EXPECT_EQ(links.Carry(path[1], 0, 0, 500).end, 1);
}

}  // namespace
}  // namespace lockstep::launch
