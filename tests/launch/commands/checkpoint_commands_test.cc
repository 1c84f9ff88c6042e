// inspect, verify, diff and export on real folders: what they print, and how they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "launch/commands/commands.h"
#include "launch/commands/diff_command.h"
#include "launch/commands/export_command.h"
#include "launch/commands/inspect_command.h"
#include "launch/commands/verify_command.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/shard_format.h"
#include "trainer/checkpoint/weights_hash.h"
#include "trainer/records/certificate.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;
using testing::Not;

class Commands : public testing::Test {
 protected:
  Commands() : root_(ScratchFolder("commands")) {
    std::filesystem::remove_all(root_);
    SmallRun(2, 16, 1).Write(FileSystem::Real(), root_ + "/a/checkpoints", 100, 1, 1, 4);
    newest_ = SmallRun(2, 16, 2).Write(FileSystem::Real(), root_ + "/a/checkpoints", 200, 1, 2, 4);
  }
  ~Commands() override { std::filesystem::remove_all(root_); }

  /// Runs `lockstep ARGS`; what it printed is in output_.
  int Run(std::vector<std::string> args) {
    CLI::App app;
    int exit_code = -1;
    launch::AddInspectCommand(app, &exit_code);
    launch::AddVerifyCommand(app, &exit_code);
    launch::AddDiffCommand(app, &exit_code);
    launch::AddExportCommand(app, &exit_code);
    std::reverse(args.begin(), args.end());
    testing::internal::CaptureStdout();
    try {
      app.parse(args);
    } catch (const Error& error) {
      output_ = testing::internal::GetCapturedStdout() + error.what();
      return error.exit_code();
    }
    std::fflush(stdout);
    output_ = testing::internal::GetCapturedStdout();
    return exit_code;
  }
  void FlipByte(const std::string& path, int offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(offset);
    file.put(byte);
  }
  std::string WeightsHashOf(const std::string& folder) {
    return HashText(WeightsHash(*Reader::Open(FileSystem::Real(), folder), 0));
  }

  std::string root_, newest_, output_;
};

TEST_F(Commands, InspectShowsTensorsRanksAndHash) {
  EXPECT_EQ(Run({"inspect", newest_}), 0);
  EXPECT_THAT(output_, HasSubstr("step          200\n"));
  EXPECT_THAT(output_, HasSubstr("weights hash  " + WeightsHashOf(newest_)));
  EXPECT_THAT(output_, HasSubstr("a.weight  [2, 2]"));
  EXPECT_THAT(output_, HasSubstr("host1"));
  EXPECT_THAT(output_, HasSubstr("test          step 200, loss 0.5, accuracy 0.75, top5 0.875"));
  EXPECT_THAT(output_, Not(HasSubstr("checkpoints\n")));
}

TEST_F(Commands, InspectOfARunListsItsCheckpoints) {
  EXPECT_EQ(Run({"inspect", root_ + "/a"}), 0);
  EXPECT_THAT(output_, testing::StartsWith("checkpoints\n"));
  EXPECT_THAT(output_, HasSubstr(" 100 "));
  EXPECT_THAT(output_, HasSubstr("checkpoint    " + newest_));
}

TEST_F(Commands, InspectJsonIsForPrograms) {
  EXPECT_EQ(Run({"inspect", root_ + "/a", "--json"}), 0);
  const nlohmann::json json = nlohmann::json::parse(output_);
  EXPECT_EQ(json["step"], 200);
  EXPECT_EQ(json["weights_hash"], WeightsHashOf(newest_));
  EXPECT_EQ(json["parameters"], 8);
  EXPECT_EQ(json["tensors"][2]["name"], "b.mean");
  EXPECT_EQ(json["tensors"][2]["statistic"], true);
  EXPECT_EQ(json["files"][1]["host"], "host1");
  EXPECT_EQ(json["loop"]["evaluations"][0]["accuracy"], 0.75);
  EXPECT_EQ(json["checkpoints"].size(), 2u);
}

TEST_F(Commands, VerifyReadsEveryCheckpointOfARun) {
  EXPECT_EQ(Run({"verify", root_ + "/a"}), 0);
  EXPECT_THAT(output_, HasSubstr("good     " + newest_ + ": step 200, 2 files"));
  FlipByte(root_ + "/a/checkpoints/step-00000100/" + ShardName(0, 1), 4096);
  EXPECT_EQ(Run({"verify", newest_}), 0);
  EXPECT_EQ(Run({"verify", root_ + "/a"}), 4);
  EXPECT_THAT(output_, HasSubstr("damaged  " + root_ +
                                 "/a/checkpoints/step-00000100/rank-00000.attempt-0001.shard: "
                                 "chunk 0 at byte 4096"));
  EXPECT_THAT(output_, Not(HasSubstr("lockstep verify"))) << "what to do about damage is for others";
}

TEST_F(Commands, WhoNamesADamagedCheckpointIsToldWhatToDo) {
  const std::string checkpoint = root_ + "/a/checkpoints/step-00000100";
  FlipByte(checkpoint + "/" + ShardName(0, 1), 4096);
  EXPECT_EQ(Run({"diff", checkpoint, newest_}), 4);
  EXPECT_THAT(output_, HasSubstr(ShardName(0, 1) + ": chunk 0 at byte 4096"));
  EXPECT_THAT(output_, HasSubstr("name another checkpoint"));
}

TEST_F(Commands, VerifyOfNothingEndsWithFour) {
  std::filesystem::create_directories(root_ + "/empty/checkpoints");
  EXPECT_EQ(Run({"verify", root_ + "/empty"}), 4);
  EXPECT_EQ(Run({"verify", root_ + "/nowhere"}), 4);
}

TEST_F(Commands, DiffDoesNotMindWhoWroteTheState) {
  SmallRun(2, 16, 2).Write(FileSystem::Real(), root_ + "/b/checkpoints", 200, 7, 5, 1);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/b"}), 0);
  EXPECT_THAT(output_, HasSubstr("same state"));
}

TEST_F(Commands, DiffNamesTheFirstElementAndHowManyDiffer) {
  SmallRun other(2, 16, 2);
  other.arrays[1][6] = -1;
  other.arrays[1][9] = -2;
  other.Write(FileSystem::Real(), root_ + "/b/checkpoints", 200, 1, 1, 1);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/b"}), 1);
  EXPECT_THAT(output_, HasSubstr("state1: 2 elements differ in 2 tensors; the first is b.weight[2]: 2097158.2"));
  EXPECT_THAT(output_, HasSubstr(" and -1 (0xbf800000)"));
  EXPECT_THAT(output_, Not(HasSubstr("weights:")));
}

TEST_F(Commands, DiffTellsZerosOfDifferentSignApart) {
  SmallRun a(1, 16, 0), b(1, 16, 0);
  b.arrays[0][0] = -0.0f;
  a.Write(FileSystem::Real(), root_ + "/c/checkpoints", 1, 1, 1, 4);
  b.Write(FileSystem::Real(), root_ + "/d/checkpoints", 1, 1, 1, 4);
  EXPECT_EQ(Run({"diff", root_ + "/c", root_ + "/d"}), 1);
  EXPECT_THAT(output_, HasSubstr("a.weight[0, 0]: 0 (0x00000000) and -0 (0x80000000)"));
}

TEST_F(Commands, DiffComparesTheLoopsState) {
  EXPECT_EQ(Run({"diff", root_ + "/a/checkpoints/step-00000100", newest_}), 1);
  EXPECT_THAT(output_, HasSubstr("step: 100 and 200"));
  EXPECT_THAT(output_, HasSubstr("updates applied: 100 and 200"));
  EXPECT_THAT(output_, HasSubstr("ledger: "));
}

TEST_F(Commands, DiffSaysWhereWeightsAreEqualAllTheSame) {
  SmallRun other(2, 16, 2);
  other.arrays[1][6] = -1;
  other.Write(FileSystem::Real(), root_ + "/b/checkpoints", 200, 1, 1, 1);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/b"}), 1);
  EXPECT_THAT(output_, HasSubstr("different state (equal weights):\n"));
}

TEST_F(Commands, DiffMakesNoDifferenceOfWhatIsKept) {
  SmallRun(2, 16, 2).Write(FileSystem::Real(), root_ + "/b/checkpoints", 200, 1, 1, 4);
  const std::string folder = root_ + "/b/checkpoints/" + FolderName(200);
  Manifest manifest = Reader::Open(FileSystem::Real(), folder)->manifest();
  manifest.mutable_loop()->set_has_best(true);
  manifest.mutable_loop()->set_best_score(0.5);
  manifest.mutable_loop()->set_best_step(100);
  std::ofstream(folder + "/" + kManifestName, std::ios::binary) << Seal(manifest);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/b"}), 0);
  EXPECT_THAT(output_, HasSubstr("same state"));
  EXPECT_THAT(output_, HasSubstr("but for what is kept as the best: best step: 0 and 100\n"));
}

TEST_F(Commands, DiffOfOtherModelsNamesTheFirstTensor) {
  SmallRun(3, 8, 2).Write(FileSystem::Real(), root_ + "/b/checkpoints", 200, 1, 1, 4);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/b"}), 1);
  EXPECT_THAT(output_, HasSubstr("tensors: A has 16 elements, B has 8 elements"));
  SmallRun(3, 16, 2).Write(FileSystem::Real(), root_ + "/c/checkpoints", 200, 1, 1, 4);
  EXPECT_EQ(Run({"diff", root_ + "/a", root_ + "/c"}), 1);
  EXPECT_THAT(output_, HasSubstr("state2: only B has this array"));
}

TEST_F(Commands, DiffOfCertificatesNamesWhatDiffersFirst) {
  records::Certificate certificate;
  certificate.recipe = HashText(1);
  certificate.attempts = {{1, 2, 0, "b0", {{"cpu", "X"}}}};
  certificate.every = 100;
  certificate.tensors = {"a.weight", "b.weight"};
  certificate.rows = {{100, 1, 2, {3, 4}}, {200, 5, 6, {7, 8}}};
  const std::string a = root_ + "/a/certificate.json", b = root_ + "/b/certificate.json";
  const auto write = [](const std::string& path, const records::Certificate& written) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << records::FormatCertificate(written);
  };
  write(a, certificate);
  write(b, certificate);
  EXPECT_EQ(Run({"diff", a, b}), 0);
  EXPECT_THAT(output_, HasSubstr("agree on 2 steps, from 100 to 200"));
  EXPECT_EQ(Run({"diff", "--certificates", root_ + "/a", root_ + "/b"}), 0);

  certificate.rows[1].weights = certificate.rows[1].tensors[1] = 9;
  certificate.attempts[0].numerics["cpu"] = "Y";
  write(b, certificate);
  EXPECT_EQ(Run({"diff", a, b}), 1);
  EXPECT_THAT(output_, HasSubstr("weights differ first at step 200: tensor b.weight\n"));
  EXPECT_THAT(output_, HasSubstr("the last common step that agrees: 100\n"));
  EXPECT_THAT(output_, HasSubstr("other cpu: X and Y\n"));

  certificate.rows.clear();
  write(b, certificate);
  EXPECT_EQ(Run({"diff", a, b}), 2) << "no evidence is no agreement";
  EXPECT_EQ(Run({"diff", "--certificates", root_ + "/a", root_ + "/nowhere"}), 2);
}

TEST_F(Commands, ExportWritesParametersAndStatistics) {
  const std::string path = root_ + "/m.safetensors";
  EXPECT_EQ(Run({"export", root_ + "/a", path}), 0);
  EXPECT_THAT(output_, HasSubstr("3 tensors of step 200, weights=" + WeightsHashOf(newest_)));
  const SafetensorsFile file(FileSystem::Real(), path);
  ASSERT_EQ(file.entries().size(), 3u);
  std::vector<float> mean(2);
  file.Read(*file.Find("b.mean"), mean);
  const SmallRun run(2, 16, 2);
  EXPECT_THAT(mean, testing::ElementsAre(run.arrays[0][8], run.arrays[0][9]));
}

TEST_F(Commands, ExportTakesTheAverageWhereEvaluationDoes) {
  const SmallRun run(2, 16, 3);
  Manifest manifest = run.Describe(300, 1, 1);
  manifest.set_arrays(1, "ema");
  const std::string folder = root_ + "/a/checkpoints/step-00000300";
  *manifest.add_files() = WriteShard(FileSystem::Real(), folder, 0, 1, "h", run.Cut(1, 4)[0]);
  CommitManifest(FileSystem::Real(), folder, manifest);
  const auto first = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"export", folder, root_ + "/m.safetensors"};
    args.insert(args.end(), more.begin(), more.end());
    EXPECT_EQ(Run(args), 0);
    const SafetensorsFile file(FileSystem::Real(), root_ + "/m.safetensors");
    std::vector<float> values(4);
    file.Read(*file.Find("a.weight"), values);
    return values[0];
  };
  EXPECT_EQ(first({}), run.arrays[1][0]);
  EXPECT_EQ(first({"--weights", "ema"}), run.arrays[1][0]);
  EXPECT_EQ(first({"--weights", "raw"}), run.arrays[0][0]);
  EXPECT_EQ(Run({"export", newest_, root_ + "/m.safetensors", "--weights", "ema"}), 2);
  EXPECT_THAT(output_, HasSubstr("no weights 'ema'; it has weights, state1"));
}

}  // namespace
}  // namespace lockstep::checkpoint
