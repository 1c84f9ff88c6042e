// `lockstep generate RUN --prompt TEXT`: what a language model writes on, token by token as it comes.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "data/text/tokenizers/token_errors.h"
#include "launch/command_line/option_checks.h"
#include "launch/job/trained_run.h"
#include "trainer/infer/text_generator.h"

namespace lockstep::launch {
namespace {

struct GenerateOptions {
  std::string run, prompt;
  int64_t tokens = 256;
  infer::SamplingOptions sampling{.temperature = 0.8};
  bool speed = false;
};

void RequireNumbers(const infer::SamplingOptions& sampling) {
  // The command line's ranges let "nan" through.
  for (const auto& [value, name] :
       {std::pair(sampling.temperature, "--temperature"), std::pair(sampling.top_p, "--top-p")})
    if (std::isnan(value)) throw Error(ErrorKind::kUsage, "is no number", name, "see lockstep generate --help");
}

infer::Prompt ReadPrompt(const std::string& text, const infer::TextGenerator& generator) {
  try {
    infer::Prompt prompt = generator.Read(text);
    data::WarnOfUnknown("--prompt", prompt.unknown, prompt.tokens.size());
    return prompt;
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.message(), "--prompt", error.hint());
  }
}

int Generate(const GenerateOptions& options) {
  RequireNumbers(options.sampling);
  const TrainedRun run = OpenTrainedRun(options.run);
  if (!run.WritesOn())
    throw Error(ErrorKind::kUsage, "the run's model does not write on from a prompt", options.run,
                "lockstep predict transcribes and translates");
  infer::TextGenerator generator = MakeTextGenerator(run);
  const infer::Prompt prompt = ReadPrompt(options.prompt, generator);
  const auto start = std::chrono::steady_clock::now();
  infer::GeneratedText generated;
  try {
    generated = generator.Generate(prompt, {options.tokens, options.sampling}, [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      return std::fflush(stdout) == 0;
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    throw error.At("--prompt");  // there is none, and the model needs one
  }
  std::fputc('\n', stdout);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.speed) std::fprintf(stderr, "%.1f tokens/s\n", static_cast<double>(generated.tokens.size()) / seconds);
  return 0;
}

}  // namespace

void AddGenerateCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("generate", "Let a language model write on from a prompt");
  auto options = std::make_shared<GenerateOptions>();
  command->add_option("RUN", options->run, "a run folder (its newest good checkpoint) or a checkpoint folder")
      ->required();
  command->add_option("--prompt", options->prompt, "what the text begins with (default: nothing)");
  command->add_option("--tokens", options->tokens, "tokens to write at most")
      ->check(WholeNumber(1, 1 << 30))
      ->capture_default_str();
  command
      ->add_option("--temperature", options->sampling.temperature,
                   "what logits are divided by: below 1 likelier, above 1 more surprising tokens; 0: the likeliest")
      ->check(NumberBetween(0, 100))
      ->capture_default_str();
  command->add_option("--top-k", options->sampling.top_k, "draw from the k likeliest tokens alone (0: all)")
      ->check(WholeNumber(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--top-p", options->sampling.top_p, "draw from the fewest tokens that come to this probability")
      ->check(NumberBetween(0, 1))
      ->capture_default_str();
  command->add_option("--seed", options->sampling.seed, "the same seed writes the same text")->capture_default_str();
  command->add_flag("--speed", options->speed, "tell tokens per second at the end, on standard error");
  command->footer(
      "Examples:\n"
      "  lockstep generate runs/shakespeare --prompt \"ROMEO:\"\n"
      "  lockstep generate runs/gpt2 --prompt \"The answer is\" --temperature 0.7 --top-k 50 --seed 3");
  command->callback([options, exit_code] { *exit_code = Generate(*options); });
}

}  // namespace lockstep::launch
