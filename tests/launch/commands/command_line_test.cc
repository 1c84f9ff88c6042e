// The program as it is called: help, versions, exit codes, and the example recipes.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/commands/program.h"

namespace lockstep::launch {

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(CommandLine, HelpListsTheCommands) {
  for (const std::string arguments : {"--help", "help"}) {
    const Ended help = Call(arguments);
    EXPECT_EQ(help.code, 0);
    for (const std::string& command : Commands())
      EXPECT_THAT(help.output, HasSubstr("\n  " + command + " ")) << arguments;
  }
}

TEST(CommandLine, EveryCommandExplainsItselfWithAnExample) {
  for (const std::string& command : Commands()) {
    const Ended help = Call(command + " --help");
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_THAT(help.output, HasSubstr("Example")) << command;
    EXPECT_THAT(help.output, HasSubstr("\n  lockstep " + command)) << command;
    const Ended same = Call("help " + command);
    EXPECT_EQ(same.code, 0) << command;
    EXPECT_THAT(same.output, HasSubstr("\n  lockstep " + command)) << command;
  }
}

TEST(CommandLine, TheListOfCommandsIsWhole) {
  // The names in the section of commands of the help.
  std::istringstream lines(Call("--help").output);
  std::set<std::string> listed;
  bool commands = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "Subcommands:")
      commands = true;
    else if (commands && line.size() > 2 && line[0] == ' ' && line[2] != ' ')
      listed.insert(line.substr(2, line.find(' ', 2) - 2));
  }
  EXPECT_EQ(listed, std::set<std::string>(Commands().begin(), Commands().end()));
}

TEST(CommandLine, VersionNamesTheBuild) {
  const Ended version = Call("version");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.output, AllOf(StartsWith("lockstep "), HasSubstr("\nbuild ")));
}

TEST(CommandLine, VersionIsAnOptionToo) { EXPECT_EQ(Call("--version").output, Call("version").output); }

TEST(CommandLine, WhatItDoesNotUnderstandIsBadUsage) {
  for (const std::string arguments :
       {"", "trian", "train", "train a b", "train --sett x=1 a", "plan", "help nothing", "help recipe trains",
        "plan -n 0 x", "train x --executors none", "train x --progress loud"})
    EXPECT_EQ(Call(arguments).code, 2) << arguments;
  EXPECT_THAT(Call("trian").output, AllOf(HasSubstr("trian"), HasSubstr("did you mean train?")));
}

TEST(CommandLine, SuggestsWhatIsMeant) {
  EXPECT_THAT(Call("train r.textproto --epochs 5").output, HasSubstr("use --set train.epochs=5"));
  EXPECT_THAT(Call("train x --progress onn").output, HasSubstr("\"onn\" is none of on, off, auto"));
  EXPECT_THAT(Call("help trian").output, HasSubstr("did you mean train?"));
  EXPECT_THAT(Call("help data chekc").output, HasSubstr("did you mean check?"));
}

TEST(CommandLine, NumbersThatAreTooSmallHaveShortWords) {
  for (const std::string arguments : {"plan -n 0 x", "run -n 0 x", "run -n -4 x"}) {
    const Ended ended = Call(arguments);
    EXPECT_EQ(ended.code, 2) << arguments;
    EXPECT_THAT(ended.output, HasSubstr("is less than 1")) << arguments;
    EXPECT_LT(ended.output.size(), 120u) << arguments;
  }
}

TEST(CommandLine, ErrorsHaveNoColoursWhereNobodySeesThem) {
  EXPECT_EQ(Call("train /nowhere").output.find('\x1b'), std::string::npos);
}

TEST(CommandLine, ErrorsAreOneLineOfStandardErrorWithExitCodes) {
  EXPECT_EQ(Call("train /nowhere.textproto", "2>/dev/null").output, "");
  const Ended missing = Call("train /nowhere.textproto");
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.output, AllOf(StartsWith("lockstep: "), HasSubstr("/nowhere.textproto")));
  EXPECT_EQ(std::count(missing.output.begin(), missing.output.end(), '\n'), 1);
  for (const std::string arguments :
       {"inspect /nowhere", "verify /nowhere", "diff /nowhere /nowhere", "export /nowhere /tmp/x.safetensors"})
    EXPECT_EQ(Call(arguments).code, 4) << arguments;
  EXPECT_EQ(Call("eval /nowhere").code, 2);
}

TEST(CommandLine, MissingDataIsADataError) {
  const TemporaryFolder temporary;
  const Ended ended = Call("plan '" LOCKSTEP_SOURCE_DIR "/examples/digits.textproto' --set data.train.csv.file=" +
                           (temporary / "none.csv"));
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("none.csv"), HasSubstr("data.train")));
}

std::vector<std::string> Examples() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(LOCKSTEP_SOURCE_DIR "/examples"))
    if (entry.path().extension() == ".textproto") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

class ExampleRecipes : public testing::TestWithParam<std::string> {};

TEST_P(ExampleRecipes, AreRecipes) {
  const bool has_data = std::getenv("LOCKSTEP_DATA") != nullptr;
  if (!has_data) setenv("LOCKSTEP_DATA", "/data", 1);
  Recipe recipe = ReadRecipe(GetParam(), {});
  ResolveRecipe(recipe);
  EXPECT_THAT(recipe.name(), testing::EndsWith(std::filesystem::path(GetParam()).stem().string()));
  std::ifstream file(GetParam());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(text, StartsWith("# proto-file: launch/recipe/recipe.proto\n# proto-message: lockstep.Recipe\n"))
      << "editors check fields by these lines";
  if (!has_data) unsetenv("LOCKSTEP_DATA");
}

/// Whether the files that the recipe reads are on this machine. A manifest names more of them.
bool HasData(const std::string& text) {
  const std::string variable = "\"$LOCKSTEP_DATA/";
  const size_t at = text.find(variable);
  const char* data = std::getenv("LOCKSTEP_DATA");
  if (at == std::string::npos) return data != nullptr || text.find("manifest:") == std::string::npos;
  if (data == nullptr) return false;
  const size_t begin = at + variable.size();
  return std::filesystem::exists(std::string(data) + "/" + text.substr(begin, text.find('"', begin) - begin));
}

TEST_P(ExampleRecipes, ArePlanned) {
  std::ifstream file(GetParam());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!HasData(text)) GTEST_SKIP() << "its data are not here (LOCKSTEP_DATA)";
  const Ended plan = Call("plan '" + GetParam() + "'");
  EXPECT_EQ(plan.code, 0) << plan.output;
  for (const std::string part : {"parameters", "work", "rank 0:", "memory of rank 0"})
    EXPECT_THAT(plan.output, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(All, ExampleRecipes, testing::ValuesIn(Examples()), [](const auto& info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

/// A recipe that trains in a moment, with `more` behind it.
std::string WriteTinyRecipe(const std::string& path, const std::string& more = "") {
  std::ofstream(path)
      << "data { train { synthetic { features: 4 classes: 3 samples: 64 } } test { synthetic { features: "
         "4 classes: 3 samples: 32 } } } model { mlp { hidden: 8 } } train { epochs: 0.4 global_batch: 8 "
         "lanes: 2 } optimizer { sgd {} learning_rate: 0.1 } "
      << more;
  return path;
}

TEST(CommandLine, GoesOnWithARunAsItSaysItself) {
  const TemporaryFolder folder;
  const std::string recipe = WriteTinyRecipe(folder / "tiny.textproto"), run = folder / "run";
  const Ended trained = Call("train '" + recipe + "' --out '" + run + "' --progress off");
  EXPECT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("done name=tiny step=3 epoch=0.4 loss="));
  const Ended folder_given = Call("train '" + run + "'");
  EXPECT_EQ(folder_given.code, 2);
  const std::string arguments = "train " + run + "/recipe.textproto --out " + run;
  EXPECT_THAT(folder_given.output, HasSubstr("lockstep " + arguments + ";"));
  const Ended again = Call(arguments, "2>/dev/null");
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.output, StartsWith("done name=tiny step=3"));
}

TEST(CommandLine, PlanLooksAtTheWeightsThatARunBeginsWith) {
  const TemporaryFolder folder;
  const std::string recipe = WriteTinyRecipe(folder / "tiny.textproto"), run = folder / "run";
  ASSERT_EQ(Call("train '" + recipe + "' --out '" + run + "' --progress off").code, 0);
  const std::string plan = "plan '" + recipe + "' --set train.init_from=";
  const Ended fits = Call(plan + run);
  EXPECT_EQ(fits.code, 0) << fits.output;
  EXPECT_THAT(fits.output, HasSubstr("\nbegins with weights "));
  const Ended wider = Call(plan + run + " --set model.mlp.hidden=16");
  EXPECT_EQ(wider.code, 2);
  EXPECT_THAT(wider.output, AllOf(HasSubstr("train.init_from: "), HasSubstr("the model's")));
  const Ended missing = Call(plan + (folder / "nothing"));
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.output, HasSubstr("does not exist"));
}

// Paths are bytes: Latin-1 file names are common on file servers that are older than UTF-8.
TEST(CommandLine, NamesThatAreNoUtf8AreNamesLikeOthers) {
  const TemporaryFolder folder;
  const std::string recipe = folder / "caf\xe9.textproto", run = folder / "\xe9t\xe9";
  std::ofstream(recipe) << "name: \"cafe\" data { train { synthetic { features: 4 classes: 3 samples: 64 } } test { "
                           "synthetic { features: 4 classes: 3 samples: 32 } } } model { mlp { hidden: 8 } } train { "
                           "steps: 3 global_batch: 8 lanes: 2 } optimizer { sgd {} learning_rate: 0.1 }";
  const std::string words = "'" + recipe + "' --out '" + run + "' --progress off";
  const Ended trained = Call("train " + words);
  EXPECT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("done name=cafe"));
  const Ended status = Call("status --json '" + run + "'");
  EXPECT_EQ(status.code, 0) << status.output;
  EXPECT_EQ(TextOr(ParseJsonObject(status.output), "state"), "done") << status.output;
  // What ends an attempt is noted with such a path, too.
  std::filesystem::remove_all(run);
  std::filesystem::create_directories(run + "/logs/rank-0.log");
  const Ended refused = Call("train " + words);
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr(run + "/logs/rank-0.log"));
  EXPECT_THAT(Call("status '" + run + "'").output, HasSubstr("failed with exit code 2"));
}

}  // namespace
}  // namespace lockstep::launch
