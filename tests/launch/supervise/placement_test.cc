// Where ranks go while hosts come and go: a script stands for ssh.
#include "launch/supervise/placement.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

/// Hosts answer while a file of their name is in `folder_`.
class Placements : public testing::Test {
 protected:
  Placements() : folder_(fs::path(testing::TempDir()) / "placement") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const fs::path agent = folder_ / "agent";
    std::ofstream(agent) << "#!/bin/sh\n[ -e " << folder_.string() << "/$1 ] && sh -c \"$2\"\n";
    fs::permissions(agent, fs::perms::owner_all);
    setenv("LOCKSTEP_RSH_AGENT", agent.c_str(), 1);
    for (const char* host : {"h1", "h2", "h3"}) Up(host);
  }
  ~Placements() override {
    unsetenv("LOCKSTEP_RSH_AGENT");
    fs::remove_all(folder_);
  }

  void Up(const std::string& host) { std::ofstream(folder_ / host) << ""; }
  void Down(const std::string& host) { fs::remove(folder_ / host); }

  fs::path folder_;
  const std::vector<Host> three_ = {{"h1", 2}, {"h2", 2}, {"h3", 2}};
};

TEST_F(Placements, WithoutHostsAllRanksGoWhereTheLauncherPutsThem) {
  Placement placement({}, 4, "true");
  EXPECT_TRUE(placement.ChooseFirst());
  EXPECT_EQ(placement.ranks(), 4);
  EXPECT_TRUE(placement.hosts().empty());
  EXPECT_FALSE(placement.HasOthers());
  EXPECT_EQ(placement.nodes(), 1);
  EXPECT_EQ(placement.FindLostHost(), "");
  EXPECT_TRUE(placement.ChooseAgain());
  EXPECT_EQ(placement.ranks(), 4);
}

TEST_F(Placements, HostsFillInOrder) {
  Placement placement(three_, 3, "true");
  EXPECT_TRUE(placement.ChooseFirst());
  EXPECT_EQ(placement.hosts(), (std::vector<Host>{{"h1", 2}, {"h2", 1}}));
  EXPECT_EQ(placement.nodes(), 2);
  EXPECT_TRUE(placement.HasOthers());
}

TEST_F(Placements, ALostHostIsNamedAndLeftOut) {
  Placement placement(three_, 6, "true");
  EXPECT_TRUE(placement.ChooseFirst());
  EXPECT_EQ(placement.FindLostHost(), "");
  Down("h2");
  EXPECT_EQ(placement.FindLostHost(), "h2");
  EXPECT_TRUE(placement.ChooseAgain());
  EXPECT_EQ(placement.ranks(), 4);
  EXPECT_EQ(placement.hosts(), (std::vector<Host>{{"h1", 2}, {"h3", 2}}));
}

TEST_F(Placements, AHostThatWasNotInUseIsNotLost) {
  Placement placement(three_, 2, "true");
  EXPECT_TRUE(placement.ChooseFirst());
  Down("h3");
  EXPECT_EQ(placement.FindLostHost(), "");
}

TEST_F(Placements, WhereNoHostAnswersThereIsNoRoom) {
  Placement placement(three_, 6, "true");
  EXPECT_TRUE(placement.ChooseFirst());
  for (const char* host : {"h1", "h2", "h3"}) Down(host);
  EXPECT_FALSE(placement.ChooseAgain());
}

TEST_F(Placements, TheLoginShellThereNeedNotBeSh) {
  // All that it has to understand is one command with a quoted word.
  const fs::path agent = folder_ / "csh";
  std::ofstream(agent) << "#!/bin/sh\ncase \"$2\" in \"exec sh -c '\"*\"'\") eval \"$2\" ;; *) exit 1 ;; esac\n";
  fs::permissions(agent, fs::perms::owner_all);
  setenv("LOCKSTEP_RSH_AGENT", agent.c_str(), 1);
  Placement placement(three_, 6, "for i in 'a b'; do [ \"$i\" = 'a b' ]; done");
  EXPECT_TRUE(placement.ChooseFirst());
  EXPECT_EQ(placement.FindLostHost(), "");
}

TEST_F(Placements, AskingCleansUp) {
  Placement placement(three_, 6, "touch " + (folder_ / "cleaned").string());
  EXPECT_TRUE(placement.ChooseFirst());
  EXPECT_FALSE(fs::exists(folder_ / "cleaned"));
  EXPECT_EQ(placement.FindLostHost(), "");
  EXPECT_TRUE(fs::exists(folder_ / "cleaned"));
}

}  // namespace
}  // namespace lockstep::launch
