// What a supervisor does after a job ended, and what it says of what that has cost.
#include "launch/supervise/restart_policy.h"

#include <gmock/gmock.h>

#include "launch/supervise/goodput.h"

namespace lockstep::launch {
namespace {

StartEnd Code(int code, uint64_t progress = 0) {
  StartEnd end;
  end.launcher_code = code;
  end.progress = progress;
  return end;
}

TEST(RestartPolicy, ARunThatIsDoneIsDone) {
  RestartPolicy policy({});
  const Decision decision = policy.After(Code(0));
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 0);
}

TEST(RestartPolicy, WhatWouldHappenAgainIsNotTriedAgain) {
  for (const int code : {2, 3, 4, 5}) {
    RestartPolicy policy({});
    const Decision decision = policy.After(Code(code, 100));
    EXPECT_EQ(decision.action, Decision::kFinish);
    EXPECT_EQ(decision.exit_code, code);
  }
}

TEST(RestartPolicy, EverythingElseIs) {
  for (const int code : {1, 6, 7, 75, 127, 134, 137, 143, 205}) {
    RestartPolicy policy({});
    EXPECT_EQ(policy.After(Code(code, 100)).action, Decision::kRestart) << code;
  }
}

TEST(RestartPolicy, AVerdictKnowsBetterThanTheLauncher) {
  StartEnd end = Code(1, 100);
  end.verdict_code = 3;
  EXPECT_EQ(RestartPolicy({}).After(end).exit_code, 3);
  end.verdict_code = 6;
  EXPECT_EQ(RestartPolicy({}).After(end).action, Decision::kRestart);
  end.launcher_code = 0;  // the last word
  EXPECT_EQ(RestartPolicy({}).After(end).exit_code, 0);
}

TEST(RestartPolicy, AStopThatWasAskedForIsKept) {
  StartEnd end = Code(75, 100);
  end.stop_asked = true;
  Decision decision = RestartPolicy({}).After(end);
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
  // A rank that died while it saved: the run goes on when it is started again.
  end.launcher_code = 137;
  decision = RestartPolicy({}).After(end);
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
  // But not what is wrong for good.
  end.launcher_code = 4;
  EXPECT_EQ(RestartPolicy({}).After(end).exit_code, 4);
  end.launcher_code = 137;
  end.interrupted = true;
  EXPECT_EQ(RestartPolicy({}).After(end).exit_code, 130);
}

TEST(RestartPolicy, AStopBecauseOfATimeLimitIsTheCallers) {
  RestartPolicy policy({.stop_is_callers = true});
  const Decision decision = policy.After(Code(75, 100));
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
}

TEST(RestartPolicy, OutOfMemoryIsNotTriedUnchanged) {
  StartEnd end = Code(137, 100);
  end.out_of_memory = true;
  const Decision decision = RestartPolicy({}).After(end);
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 2);
}

TEST(RestartPolicy, GivesUpAfterThreeTriesWithoutAStep) {
  RestartPolicy policy({}, 50);
  EXPECT_EQ(policy.After(Code(137, 50)).action, Decision::kRestart);
  EXPECT_EQ(policy.After(Code(137, 40)).action, Decision::kRestart);  // a resume discards rows
  const Decision decision = policy.After(Code(137, 50));
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 6);
  EXPECT_THAT(decision.reason, testing::HasSubstr("step 50"));
}

TEST(RestartPolicy, ProgressResetsTriesAndDelays) {
  RestartPolicy policy({});
  EXPECT_EQ(policy.After(Code(137, 10)).delay_seconds, 0);
  EXPECT_EQ(policy.After(Code(137, 10)).delay_seconds, 1);
  EXPECT_EQ(policy.After(Code(137, 10)).delay_seconds, 2);
  EXPECT_EQ(policy.After(Code(137, 20)).delay_seconds, 0);
  EXPECT_EQ(policy.After(Code(137, 20)).delay_seconds, 1);
  EXPECT_EQ(policy.After(Code(137, 20)).action, Decision::kRestart);
  EXPECT_EQ(policy.After(Code(137, 20)).action, Decision::kFinish);
  EXPECT_EQ(policy.restarts(), 6);
}

TEST(RestartPolicy, DelaysAreBounded) {
  RestartPolicy policy({.tries_without_progress = 100});
  int last = 0;
  for (int i = 0; i < 50; ++i) last = policy.After(Code(137)).delay_seconds;
  EXPECT_EQ(last, 60);
}

TEST(RestartPolicy, RestartsAreBoundedInAll) {
  RestartPolicy policy({.max_restarts = 2});
  EXPECT_EQ(policy.After(Code(137, 10)).action, Decision::kRestart);
  EXPECT_EQ(policy.After(Code(137, 20)).action, Decision::kRestart);
  const Decision decision = policy.After(Code(137, 30));
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 6);
}

TEST(Goodput, NamesLossesByCauseAndHost) {
  // 2 nodes for 10 s, of which the last 3 and a wait of 1 are lost; 2 nodes for 5 s; 1 node for 7 s until the end.
  const std::vector<StartCost> starts = {
      {.nodes = 2, .seconds = 10, .lost_seconds = 3, .waited = 1, .cause = "killed rank", .host = "h2"},
      {.nodes = 2, .seconds = 5, .lost_seconds = 0.5, .waited = 0, .cause = "hang", .host = "h1"},
      {.nodes = 1, .seconds = 7}};
  EXPECT_EQ(GoodputLine(1347, starts),
            "goodput: 1347 steps in 3 starts, 2 restarts (1 killed rank on h2: 8.0, 1 hang on h1: 1.0), 9.0 of 39.0 "
            "node-seconds lost");
}

TEST(Goodput, AddsUpWhatIsAlike) {
  const StartCost lost = {.nodes = 1, .seconds = 2, .lost_seconds = 2, .waited = 0, .cause = "lost host", .host = ""};
  EXPECT_EQ(GoodputLine(1, {lost, lost, {.nodes = 1, .seconds = 1}}),
            "goodput: 1 step in 3 starts, 2 restarts (2 lost host: 4.0), 4.0 of 5.0 node-seconds lost");
  EXPECT_EQ(GoodputLine(0, {{.nodes = 1, .seconds = 1}}),
            "goodput: 0 steps in 1 start, 0 restarts, 0.0 of 1.0 node-seconds lost");
}

}  // namespace
}  // namespace lockstep::launch
