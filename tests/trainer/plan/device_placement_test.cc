#include "trainer/plan/device_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::plan {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Ranks of one host: `uuids` are theirs, each sees `visible` GPUs.
std::vector<RankDevice> Host(const std::string& host, const std::vector<std::string>& uuids, int visible,
                             const std::string& name = "H100") {
  std::vector<RankDevice> ranks;
  for (const std::string& uuid : uuids)
    ranks.push_back(
        {static_cast<int>(ranks.size()), host, name, uuid, static_cast<int>(ranks.size()) % visible, visible});
  return ranks;
}

std::vector<RankDevice> operator+(std::vector<RankDevice> a, const std::vector<RankDevice>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(DevicePlacement, RanksThatShareADeviceAreFoundByItsUuid) {
  EXPECT_FALSE(SharesDevices({}));
  EXPECT_FALSE(SharesDevices(Host("h1", {"a"}, 1)));
  EXPECT_FALSE(SharesDevices(Host("h1", {"a", "b"}, 2) + Host("h2", {"c", "d"}, 2)));
  EXPECT_TRUE(SharesDevices(Host("h1", {"a", "b", "a"}, 2)));
  // Each has the number 0 among those that it sees.
  std::vector<RankDevice> alone = Host("h1", {"a", "b"}, 1);
  EXPECT_EQ(alone[1].ordinal, 0);
  EXPECT_FALSE(SharesDevices(alone));
}

TEST(DevicePlacement, DescribesEachHostOnALine) {
  EXPECT_THAT(DescribeDevices(Host("h1", {"a", "b", "c", "d"}, 4) + Host("h2", {"e"}, 1, "A100")),
              ElementsAre("h1: 4 ranks on H100 x 4", "h2: 1 rank on A100"));
  EXPECT_THAT(DescribeDevices(Host("h1", {"a", "a", "a"}, 1)), ElementsAre("h1: 3 ranks on H100"));
  EXPECT_THAT(DescribeDevices(Host("h1", {"a", "b"}, 3) + Host("h1", {"c"}, 3, "A100")),
              ElementsAre("h1: 3 ranks on A100 and H100 x 2"));
}

TEST(DevicePlacement, ADeviceARankIsNothingToWarnOf) {
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a"}, 1)), IsEmpty());
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a", "b", "c", "d"}, 4) + Host("h2", {"e", "f", "g", "h"}, 4)), IsEmpty());
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a"}, 1) + Host("h2", {"b"}, 1)), IsEmpty())
      << "each sees one, and there is one on each host";
}

TEST(DevicePlacement, WarnsOfRanksThatShare) {
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a", "b", "a"}, 2)),
              ElementsAre(AllOf(HasSubstr("3 ranks on h1 share 2 GPUs"), HasSubstr("through the host"),
                                Not(HasSubstr("let each see")))));
  EXPECT_THAT(
      WarningsOfDevices(Host("h1", {"a", "a"}, 1)),
      ElementsAre(AllOf(HasSubstr("2 ranks on h1 share 1 GPU:"), HasSubstr("let each see one of its own or all"))));
}

TEST(DevicePlacement, WarnsOfPeersThatACgroupHides) {
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a", "b"}, 1)),
              ElementsAre(AllOf(HasSubstr("each rank on h1 sees its own GPU alone"), HasSubstr("--gpus-per-node"),
                                HasSubstr("--gpu-bind=none"))));
}

TEST(DevicePlacement, WarnsOfIdleDevices) {
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a", "b", "c"}, 8)),
              ElementsAre(AllOf(HasSubstr("5 of 8 GPUs of h1 are idle"), HasSubstr("start 8 ranks"))));
}

TEST(DevicePlacement, EachHostIsWarnedOfByItself) {
  EXPECT_THAT(WarningsOfDevices(Host("h1", {"a", "b"}, 2) + Host("h2", {"c", "c"}, 1) + Host("h3", {"d"}, 2)),
              ElementsAre(HasSubstr("on h2 share"), HasSubstr("of h3 are idle")));
}

}  // namespace
}  // namespace lockstep::plan
