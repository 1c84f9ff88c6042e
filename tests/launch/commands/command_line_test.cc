// The program as it is called: help, versions, exit codes, and the example recipes.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
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

namespace lockstep::launch {

extern const std::string_view kRecipeSchema;

namespace {

namespace pb = google::protobuf;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Ended {
  int code = -1;
  std::string output;  ///< standard output and error
};

Ended Call(const std::string& arguments, const std::string& redirection = "2>&1") {
  Ended ended;
  std::FILE* pipe = popen(("'" LOCKSTEP_BINARY "' " + arguments + " </dev/null " + redirection).c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> part;
  while (size_t n = std::fread(part.data(), 1, part.size(), pipe)) ended.output.append(part.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

const std::vector<std::string>& Commands() {
  static const std::vector<std::string> kCommands = {
      "train", "eval",   "run",      "submit",    "status", "plan", "inspect", "diff",     "replay", "verify",
      "data",  "export", "tokenize", "tokenizer", "doctor", "help", "version", "generate", "predict"};
  return kCommands;
}

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

TEST(CommandLine, WhatItDoesNotUnderstandIsBadUsage) {
  for (const std::string arguments :
       {"", "trian", "train", "train a b", "train --sett x=1 a", "plan", "help nothing", "help recipe trains",
        "plan -n 0 x", "train x --executors none", "train x --progress loud"})
    EXPECT_EQ(Call(arguments).code, 2) << arguments;
  EXPECT_THAT(Call("trian").output, HasSubstr("trian"));
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

/// All fields below `message`, each message once.
void ForEachField(const pb::Descriptor& message, std::set<std::string>& seen,
                  const std::function<void(const pb::FieldDescriptor&)>& visit) {
  if (!seen.insert(message.full_name()).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    visit(*message.field(i));
    if (message.field(i)->message_type() != nullptr) ForEachField(*message.field(i)->message_type(), seen, visit);
  }
}

TEST(HelpRecipe, PrintsEveryFieldAndWhatItMeans) {
  pb::FileDescriptorSet schema;
  ASSERT_TRUE(schema.ParseFromArray(kRecipeSchema.data(), static_cast<int>(kRecipeSchema.size())));
  pb::DescriptorPool pool;
  for (const pb::FileDescriptorProto& file : schema.file()) ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
  const std::string help = Call("help recipe").output;
  std::set<std::string> seen;
  int fields = 0;
  ForEachField(*pool.FindMessageTypeByName("lockstep.Recipe"), seen, [&](const pb::FieldDescriptor& field) {
    ++fields;
    const bool message = field.message_type() != nullptr;
    EXPECT_THAT(help, testing::ContainsRegex("(^|\n) *" + field.name() + (message ? " [{]" : ": ")))
        << field.full_name();
    pb::SourceLocation location;
    ASSERT_TRUE(field.GetSourceLocation(&location));
    EXPECT_NE(location.leading_comments, "") << field.full_name() << " has no comment";
    const std::string first_line = location.leading_comments.substr(0, location.leading_comments.find('\n'));
    EXPECT_THAT(help, HasSubstr("#" + first_line)) << field.full_name();
  });
  EXPECT_GT(fields, 80);
}

TEST(HelpRecipe, ExplainsAPartByItself) {
  const Ended part = Call("help recipe data.train.csv");
  EXPECT_EQ(part.code, 0);
  EXPECT_THAT(part.output, AllOf(HasSubstr("label_column"), Not(HasSubstr("optimizer"))));
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
