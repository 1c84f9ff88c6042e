// What the program says of itself: the reference of recipes, completion, the manual page.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "tests/base/temporary_folder.h"
#include "tests/launch/commands/program.h"

namespace lockstep::launch {

extern const std::string_view kRecipeSchema;

namespace {

namespace pb = google::protobuf;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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
  const std::string help = Call("help recipe --all").output;
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

TEST(HelpRecipe, FitsAScreen) {
  std::istringstream lines(Call("help recipe").output);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_GT(count, 20);
  EXPECT_LE(count, 50);
  const std::string help = Call("help recipe").output;
  for (const std::string part : {"model", "data", "train", "optimizer", "checkpoint", "watchdog", "global_batch"})
    EXPECT_THAT(help, HasSubstr(part));
}

TEST(HelpRecipe, FindsNamesAnywhere) {
  for (const std::string name : {"csv", "Csv", "train.csv", "data.train.csv"})
    EXPECT_THAT(Call("help recipe " + name).output,
                AllOf(HasSubstr("data.train.csv {"), HasSubstr("label_column"), Not(HasSubstr("parallel"))))
        << name;
  EXPECT_THAT(Call("help recipe learning_rate").output, HasSubstr("optimizer.learning_rate: number"));
  EXPECT_THAT(Call("help recipe lr").output, HasSubstr("optimizer.learning_rate: number"));
  EXPECT_THAT(Call("help recipe OneCycle").output, HasSubstr("optimizer.schedule.one_cycle {"));
  const std::string every = Call("help recipe dropout").output;
  for (const std::string path : {"model.mlp.dropout", "model.gpt.dropout", "model.layers.layer.dropout"})
    EXPECT_THAT(every, HasSubstr(path));
  EXPECT_THAT(Call("help recipe optimzer").output, HasSubstr("did you mean optimizer?"));
}

TEST(HelpRecipe, SearchesNamesAndComments) {
  EXPECT_THAT(Call("help recipe --search warmup").output,
              AllOf(HasSubstr("optimizer.schedule.warmup_steps: integer"), HasSubstr("# The rate rises")));
  EXPECT_THAT(Call("help recipe --search exponential average").output, HasSubstr("optimizer.ema_decay"));
  EXPECT_THAT(Call("help --search ctc").output, HasSubstr("model.loss.ctc"));
  const Ended none = Call("help recipe --search frobnicate");
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.output, HasSubstr("no field of a recipe speaks of frobnicate"));
}

/// What bash offers behind `line`.
std::string Completed(const std::string& line) {
  const TemporaryFolder folder;
  std::ofstream(folder / "complete.sh") << Call("completion bash").output << "\nCOMP_WORDS=(" << line << ")\n"
                                        << "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_lockstep\n"
                                        << "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
  std::FILE* pipe = popen(("cd '" + folder.path() + "' && bash complete.sh 2>&1").c_str(), "r");
  std::string text = "\n";
  std::array<char, 4096> part;
  while (size_t n = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), n);
  pclose(pipe);
  return text;
}

TEST(Completion, OfBashKnowsCommandsOptionsFieldsAndValues) {
  EXPECT_THAT(Completed("lockstep tr"), HasSubstr("\ntrain\n"));
  EXPECT_THAT(Completed("lockstep train x --o"), HasSubstr("\n--out\n"));
  EXPECT_THAT(Completed("lockstep train x --progress o"), AllOf(HasSubstr("\non\n"), HasSubstr("\noff\n")));
  EXPECT_THAT(Completed("lockstep train x --set optimizer.learning"), testing::Eq("\noptimizer.learning_rate=\n"));
  EXPECT_THAT(Completed("lockstep train x --set train.device = G"), testing::Eq("\nGPU\n"));
  EXPECT_THAT(Completed("lockstep data ''"), HasSubstr("\ncheck\n"));
  EXPECT_THAT(Completed("lockstep completion z"), testing::Eq("\nzsh\n"));
  EXPECT_THAT(Completed("lockstep help rec"), testing::Eq("\nrecipe\n"));
}

TEST(Completion, NamesEveryCommandInEveryShell) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Ended script = Call("completion " + shell);
    EXPECT_EQ(script.code, 0);
    for (const std::string& command : Commands()) EXPECT_THAT(script.output, HasSubstr(command)) << shell;
    EXPECT_THAT(script.output, AllOf(HasSubstr("optimizer.learning_rate"), HasSubstr("progress"))) << shell;
    EXPECT_EQ(script.output.find('@' + std::string("C")), std::string::npos) << "a list was not filled in";
  }
}

TEST(ManualPage, DescribesEveryCommand) {
  const Ended page = Call("help --man");
  EXPECT_EQ(page.code, 0);
  EXPECT_THAT(page.output, AllOf(StartsWith(".TH LOCKSTEP 1"), HasSubstr(".SH EXIT STATUS"), HasSubstr("NO_COLOR")));
  for (const std::string& command : Commands())
    EXPECT_THAT(page.output, HasSubstr(".SS \\fBlockstep " + command + "\\fR"));
}

TEST(HelpRecipe, ExplainsAPartByItself) {
  const Ended part = Call("help recipe data.train.csv");
  EXPECT_EQ(part.code, 0);
  EXPECT_THAT(part.output, AllOf(HasSubstr("label_column"), Not(HasSubstr("optimizer"))));
}

}  // namespace
}  // namespace lockstep::launch
