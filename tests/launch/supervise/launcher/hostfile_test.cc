// Hostfiles: what Open MPI 4.1's mpirun made of each of these was looked at with --display-allocation.
#include "launch/supervise/launcher/hostfile.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/error.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Host> Parse(const std::string& text) { return ParseHostfile(text, "hosts"); }

TEST(Hostfile, SlotsAreGivenInOneOfSeveralWords) {
  EXPECT_THAT(Parse("# ours\nh1 slots=4 # new\n\nh2 cpu=2\nh3 count = 3\nh4\n"),
              ElementsAre(Host{"h1", 4}, Host{"h2", 2}, Host{"h3", 3}, Host{"h4", 0}));
  EXPECT_THAT(Parse("\th1\tslots=2\r\nh2:5\r\n10.0.0.7 slots=1"),
              ElementsAre(Host{"h1", 2}, Host{"h2", 5}, Host{"10.0.0.7", 1}));
}

TEST(Hostfile, AMostIsTheNumberWhereNoneIsGiven) {
  EXPECT_THAT(Parse("a max_slots=4\nb slots=2 max-slots=8\nc slots_max=3\nd max_slots=2 slots=4\n"),
              ElementsAre(Host{"a", 4}, Host{"b", 2}, Host{"c", 3}, Host{"d", 4}));
}

TEST(Hostfile, AHostThatIsNamedAgainHasOneSlotMore) {
  EXPECT_THAT(Parse("a\nb\na\na\n"), ElementsAre(Host{"a", 3}, Host{"b", 0}));
  EXPECT_THAT(Parse("a slots=2\na\n"), ElementsAre(Host{"a", 3}));
  EXPECT_THAT(Parse("a.one.site\na\n"), ElementsAre(Host{"a.one.site", 2}));
  EXPECT_THAT(Parse("10.0.0.1\n10.0.0.2\n"), ElementsAre(Host{"10.0.0.1", 0}, Host{"10.0.0.2", 0}));
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  EXPECT_THAT(Parse("localhost\n" + std::string(name) + "\n"), ElementsAre(Host{"localhost", 2}));
}

TEST(Hostfile, NoSlotsLeaveAHostOut) {
  EXPECT_THAT(Parse("a slots=0\nb\n"), ElementsAre(Host{"b", 0}));
  EXPECT_THROW(Parse("a slots=0\n"), Error);
}

TEST(Hostfile, CommentsOfThreeKinds) {
  EXPECT_THAT(Parse("a slots=4//x\nb // c\n/* d\ne */ f slots=2\ng slots=1#h\n"),
              ElementsAre(Host{"a", 4}, Host{"b", 0}, Host{"f", 2}, Host{"g", 1}));
}

TEST(Hostfile, AUserIsWhoLogsIn) {
  EXPECT_THAT(Parse("me@a slots=2\nb username=you slots=3\nc\n"),
              ElementsAre(Host{"a", 2, "me"}, Host{"b", 3, "you"}, Host{"c", 0}));
  EXPECT_EQ(Parse("me@a slots=2\n").front().Address(), "me@a");
}

TEST(Hostfile, ALineOfARankfileIsASlot) {
  EXPECT_THAT(Parse("rank 0=a slot=1:0-3\nrank 1=a slot=0\nrank 2=b slot=0\n"),
              ElementsAre(Host{"a", 2}, Host{"b", 1}));
}

TEST(Hostfile, WhatOpenMpiCallsAnErrorIsOne) {
  for (const char* line : {"a slots",
                           "a slots=x",
                           "a slots=-2",
                           "a slots 4",
                           "a slots=2x",
                           "a slots=4,b",
                           "a slots=\"2\"",
                           "a slot=4",
                           "a Slots=4",
                           "a foo=3",
                           "a boards=2",
                           "a sockets=2",
                           "a cpu_set=0",
                           "a b.c",
                           "a slots=4 max_slots=2",
                           "a slots=2 slots=3",
                           "a slots=2 b slots=2",
                           "h1 slots=2",
                           "slots=2",
                           "^a",
                           "$a",
                           "\"a\" slots=2",
                           "b /* x */ slots=2",
                           "a,b slots=2",
                           "+n1",
                           "fe80::1 slots=2",
                           "me@you@a slots=2",
                           "a port=22",
                           "a username=",
                           "a username=-me",
                           "a slots=100000"}) {
    try {
      Parse("h1 slots=1\n" + std::string(line) + "\n");
      ADD_FAILURE() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_EQ(error.where(), "hosts:2") << line;
    }
  }
  for (const char* text : {"", "\n# only\n"}) EXPECT_THROW(Parse(text), Error);
}

TEST(Hostfile, ABareWordIsWarnedOf) {
  testing::internal::CaptureStderr();
  EXPECT_THAT(Parse("a b\n"), ElementsAre(Host{"a", 0}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("\"b\" means nothing to Open MPI"));
}

}  // namespace
}  // namespace lockstep::launch
