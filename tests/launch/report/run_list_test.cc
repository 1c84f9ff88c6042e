#include "launch/report/run_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>

#include "base/error.h"
#include "tests/base/error_of.h"
#include "tests/launch/report/run_files.h"

namespace lockstep::launch {
namespace {

using testing::HasSubstr;

std::vector<ListedRun> List(const RunFiles& files) {
  return ListRuns(files.path(), static_cast<double>(std::time(nullptr)));
}

ListedRun Find(const std::vector<ListedRun>& runs, const std::string& name) {
  for (const ListedRun& run : runs)
    if (run.name == name) return run;
  ADD_FAILURE() << "no run " << name;
  return {};
}

TEST(RunList, HasALineARun) {
  const RunFiles files;
  files.WriteWholeRun("digits");
  files.Write("young", "recipe.textproto", "train { epochs: 4 }");
  files.Write("young", "attempts.jsonl", "{\"attempt\":1}\n");
  files.Write("young", "metrics.jsonl", "{\"step\":10,\"epoch\":0.5,\"loss\":1.5}\n");
  files.Write("young", "heartbeat/rank-0.pb", "x");
  const std::vector<ListedRun> runs = List(files);
  ASSERT_EQ(runs.size(), 2u);
  const ListedRun digits = Find(runs, "digits"), young = Find(runs, "young");
  EXPECT_EQ(digits.state, "done");
  EXPECT_EQ(digits.step, 40u);
  EXPECT_EQ(digits.total_steps, 40u);
  EXPECT_EQ(digits.last, "validation accuracy 0.6250");
  EXPECT_GE(digits.age, 0);
  EXPECT_EQ(young.state, "running");
  EXPECT_EQ(young.total_steps, 80u) << "at the pace of its epochs";
  EXPECT_EQ(young.last, "loss 1.5000");
  const std::string text = FormatRuns(runs);
  EXPECT_THAT(text, HasSubstr("run     state    step      last                        written\n"));
  EXPECT_THAT(text, HasSubstr("digits  done     40 of 40  validation accuracy 0.6250  "));
  EXPECT_EQ(RunsJson(runs).size(), 2u);
}

TEST(RunList, NamesWhatIsDamaged) {
  const RunFiles files;
  files.Write("broken", "recipe.textproto", "model { nothing {} }");
  files.Write("empty", "notes.txt", "");
  files.Write("torn", "recipe.textproto", "train { steps: 5 }");
  files.Write("torn", "metrics.jsonl", "\xFF\n{\"st");
  std::filesystem::create_directories(files / ".hidden");
  const std::vector<ListedRun> runs = List(files);
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(Find(runs, "broken").state, "damaged");
  EXPECT_THAT(Find(runs, "broken").problem, HasSubstr("nothing"));
  EXPECT_EQ(Find(runs, "empty").state, "damaged");
  EXPECT_THAT(FormatRuns(runs), HasSubstr("there is no recipe.textproto in it that can be read"));
  EXPECT_EQ(Find(runs, "torn").step, 0u);
}

TEST(RunList, SaysWhatToDoWhereThereIsNoFolder) {
  const Error error = ErrorOf([] { ListRuns("/no/such/runs", 0); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("/no/such/runs"));
  EXPECT_FALSE(HoldsRuns("/no/such/runs"));
  const RunFiles files;
  EXPECT_EQ(FormatRuns(List(files)), "there are no runs\n");
  EXPECT_FALSE(HoldsRuns(files.path()));
  files.WriteWholeRun("a");
  EXPECT_TRUE(HoldsRuns(files.path()));
}

}  // namespace
}  // namespace lockstep::launch
