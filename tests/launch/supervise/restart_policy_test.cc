// What a supervisor does after a job ended, and what it says of what that has cost.
#include "launch/supervise/restart_policy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "launch/supervise/goodput.h"

namespace lockstep::launch {
namespace {

StartOutcome Code(int code, uint64_t progress = 0) {
  StartOutcome outcome;
  outcome.launcher_code = code;
  outcome.progress = progress;
  return outcome;
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

StartOutcome WithVerdict(int launcher_code, const std::string& verdict) {
  StartOutcome outcome = Code(launcher_code, 100);
  outcome.verdict = records::ParseEnding(verdict);
  return outcome;
}

TEST(RestartPolicy, AVerdictKnowsBetterThanTheLauncher) {
  // Of versions that named no kind.
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(1, R"({"exit_code": 3})")).exit_code, 3);
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(1, R"({"exit_code": 6})")).action, Decision::kRestart);
  // The launcher's 0 is the last word.
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(0, R"({"exit_code": 6})")).exit_code, 0);
}

TEST(RestartPolicy, TheKindDecidesAndNotTheNumber) {
  for (const ErrorKindInfo& info : ErrorKinds()) {
    const StartOutcome outcome =
        WithVerdict(137, fmt::format(R"({{"exit_code": {}, "kind": "{}"}})", info.exit_code, info.name));
    EXPECT_EQ(EffectiveKind(outcome), info.kind);
    EXPECT_EQ(EffectiveCode(outcome), info.exit_code);
    EXPECT_EQ(RestartPolicy({}).After(outcome).action, info.may_pass ? Decision::kRestart : Decision::kFinish)
        << info.name;
  }
  // Where the two don't fit, as another version's may.
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(1, R"({"exit_code": 2, "kind": "storage"})")).action,
            Decision::kRestart);
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(1, R"({"exit_code": 6, "kind": "memory"})")).exit_code, 2);
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(1, R"({"exit_code": 3, "kind": "of a later version"})")).exit_code, 3);
}

TEST(RestartPolicy, ADiskThatFailedInMidRunIsTriedAgain) {
  EXPECT_EQ(RestartPolicy({}).After(WithVerdict(6, R"({"exit_code": 6, "kind": "storage"})")).action,
            Decision::kRestart);
  // And where it could not even take the verdict.
  EXPECT_EQ(RestartPolicy({}).After(Code(ExitCodeOf(ErrorKind::kStorage), 100)).action, Decision::kRestart);
}

TEST(RestartPolicy, AStopThatWasAskedForIsKept) {
  StartOutcome outcome = Code(75, 100);
  outcome.stop_asked = true;
  Decision decision = RestartPolicy({}).After(outcome);
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
  // A rank that died while it saved: the run goes on when it is started again.
  outcome.launcher_code = 137;
  decision = RestartPolicy({}).After(outcome);
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
  // But not what is wrong for good.
  outcome.launcher_code = 4;
  EXPECT_EQ(RestartPolicy({}).After(outcome).exit_code, 4);
  outcome.launcher_code = 137;
  outcome.interrupted = true;
  EXPECT_EQ(RestartPolicy({}).After(outcome).exit_code, 130);
}

TEST(RestartPolicy, AStopBecauseOfATimeLimitIsTheCallers) {
  RestartPolicy policy({.stop_is_callers = true});
  const Decision decision = policy.After(Code(75, 100));
  EXPECT_EQ(decision.action, Decision::kFinish);
  EXPECT_EQ(decision.exit_code, 75);
}

TEST(RestartPolicy, OutOfMemoryIsNotTriedUnchanged) {
  StartOutcome outcome = Code(137, 100);
  outcome.out_of_memory = true;
  const Decision decision = RestartPolicy({}).After(outcome);
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
