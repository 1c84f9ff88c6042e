// What is said of command lines that are not understood.
#include "launch/command_line/usage_errors.h"

#include <gmock/gmock.h>

#include "launch/command_line/option_checks.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A program with a few commands, as lockstep has them.
struct Program {
  Program() : app("A program", "lockstep") {
    app.require_subcommand(0, 1);
    CLI::App* train = app.add_subcommand("train", "Train");
    train->add_option("RECIPE", text)->required();
    train->add_option("--set", settings)->allow_extra_args(false);
    train->add_option("--out", text);
    train->add_flag("--accept-build", flag);
    train->add_option("--executors", number)->check(WholeNumber(1));
    app.add_subcommand("status", "Status")->add_option("--lines", number);
    app.get_subcommand("status")->add_option("-n,--ranks", number)->check(WholeNumber(1));
    app.add_subcommand("data", "Data")->require_subcommand(1)->add_subcommand("check", "Check")->add_option("R", text);
    app.add_subcommand("secret", "Hidden")->group("");
  }

  CLI::App app;
  std::string text;
  std::vector<std::string> settings;
  bool flag = false;
  int number = 0;
};

std::string Said(const std::vector<std::string>& words) {
  Program program;
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    program.app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    const Error explained = ExplainUsage(program.app, error, words);
    EXPECT_EQ(explained.kind(), ErrorKind::kUsage);
    return explained.what();
  }
  return "understood";
}

TEST(UsageErrors, AnOptionThatIsAFieldBecomesASetting) {
  EXPECT_THAT(Said({"train", "r", "--epochs", "5"}),
              AllOf(HasSubstr("lockstep train has no option --epochs"), HasSubstr("use --set train.epochs=5")));
  EXPECT_THAT(Said({"train", "--epochs", "5", "r"}), HasSubstr("use --set train.epochs=5"));
  EXPECT_THAT(Said({"train", "r", "--epochs=5"}), HasSubstr("use --set train.epochs=5"));
  EXPECT_THAT(Said({"train", "r", "--lr=-0.1"}), HasSubstr("use --set optimizer.learning_rate=-0.1"));
  EXPECT_THAT(Said({"train", "r", "--batch-size", "32"}), HasSubstr("use --set train.global_batch=32"));
  EXPECT_THAT(Said({"train", "r", "--seed"}), HasSubstr("use --set train.seed=VALUE"));
  EXPECT_THAT(Said({"train", "r", "--gradient-checkpointing"}),
              HasSubstr("use --set train.recompute_activations=true"));
  EXPECT_THAT(Said({"train", "r", "--train.epochs=5"}), HasSubstr("--set train.epochs=5"));
  EXPECT_THAT(Said({"train", "r", "--learning_rat", "5"}), HasSubstr("did you mean --set optimizer.learning_rate=5?"));
  EXPECT_THAT(Said({"train", "--epochs=5"}), HasSubstr("no option --epochs")) << "more than that RECIPE is required";
}

TEST(UsageErrors, AllUnknownOptionsAreNamed) {
  EXPECT_THAT(Said({"train", "r", "--epochs", "5", "--lr", "0.1"}),
              AllOf(HasSubstr("no options --epochs and no --lr"), HasSubstr("--set train.epochs=5"),
                    HasSubstr("--set optimizer.learning_rate=0.1")));
}

TEST(UsageErrors, OtherOptionsAreSuggested) {
  EXPECT_THAT(Said({"train", "r", "--sett", "x=1"}), HasSubstr("did you mean --set?"));
  EXPECT_THAT(Said({"train", "r", "--output", "x"}), HasSubstr("did you mean --out?"));
  EXPECT_THAT(Said({"train", "r", "--accept_build"}), HasSubstr("did you mean --accept-build?"));
  EXPECT_THAT(Said({"status", "--epochs", "5"}), Not(HasSubstr("--set"))) << "it takes no settings";
  EXPECT_THAT(Said({"train", "r", "--frobnicate"}),
              AllOf(HasSubstr("no option --frobnicate"), HasSubstr("lockstep train --help")));
}

TEST(UsageErrors, WhatNeedsNoOptionIsSaid) {
  EXPECT_THAT(Said({"train", "r", "--resume"}), HasSubstr("a run goes on from its newest checkpoint"));
  EXPECT_THAT(Said({"train", "r", "-n", "4"}), HasSubstr("lockstep run -n N"));
  EXPECT_THAT(Said({"train", "--config", "r"}), HasSubstr("without an option"));
}

TEST(UsageErrors, ValuesOfEnumsAreTheRecipes) {
  EXPECT_THAT(Said({"train", "r", "--device", "cuda"}), HasSubstr("use --set train.device=GPU"));
  EXPECT_THAT(Said({"train", "r", "--bf16"}), HasSubstr("use --set train.precision=BF16"));
  EXPECT_THAT(Said({"train", "r", "--gpus", "4"}), HasSubstr("use --set train.device=GPU"));
}

TEST(UsageErrors, OptionsOfOneDashAndSeveralLettersAreNoLetterWithAValue) {
  EXPECT_THAT(Said({"status", "-np", "4"}), AllOf(HasSubstr("no option -np"), HasSubstr("did you mean --ranks?")));
  EXPECT_THAT(Said({"train", "r", "-lr", "0.1"}), HasSubstr("use --set optimizer.learning_rate=0.1"));
}

TEST(UsageErrors, CommandsAreSuggested) {
  EXPECT_THAT(Said({"trian", "r"}),
              AllOf(HasSubstr("there is no command \"trian\""), HasSubstr("did you mean train?")));
  EXPECT_THAT(Said({"resume"}), HasSubstr("did you mean train?"));
  EXPECT_THAT(Said({"data", "chekc"}), HasSubstr("did you mean check?"));
  EXPECT_THAT(Said({"r.textproto"}), HasSubstr("use lockstep train r.textproto"));
  EXPECT_THAT(Said({"secre"}), Not(HasSubstr("secret")));
}

TEST(UsageErrors, AWordTooManyIsNamed) {
  EXPECT_THAT(Said({"train", "r", "more"}), HasSubstr("takes no further word: \"more\""));
  EXPECT_THAT(Said({"train", "r", "train.epochs=5"}), HasSubstr("use --set train.epochs=5"));
}

TEST(UsageErrors, OtherMistakesSayWhatIsMissing) {
  EXPECT_THAT(Said({"train"}), HasSubstr("RECIPE is required"));
  EXPECT_THAT(Said({"data"}), HasSubstr("lockstep data needs a command: check"));
  EXPECT_THAT(Said({"train", "r", "--out"}), HasSubstr("--out needs a value"));
  EXPECT_THAT(Said({"train", "r", "--executors", "0"}), HasSubstr("--executors: 0 is less than 1"));
}

}  // namespace
}  // namespace lockstep::launch
