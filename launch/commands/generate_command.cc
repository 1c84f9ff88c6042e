// `lockstep generate RUN --prompt TEXT`: what a language model writes on, token by token as it comes.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/text/token_errors.h"
#include "data/text/utf8.h"
#include "launch/job/job_setup.h"
#include "launch/job/trained_run.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/sampling.h"

namespace lockstep::launch {
namespace {

struct GenerateOptions {
  std::string run, prompt;
  int64_t tokens = 256;
  infer::SamplingOptions sampling{.temperature = 0.8};
  bool speed = false;
};

/// Bytes at the end of `text` that begin a UTF-8 character without ending it.
size_t Unfinished(std::string_view text) {
  constexpr size_t kLongest = 4;
  for (size_t back = 1; back <= std::min(kLongest - 1, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/// Prints text as tokens come, in whole characters.
class Stream {
 public:
  explicit Stream(const data::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void Add(int32_t token) {
    tokens_.push_back(token);
    Print(/*all=*/false);
  }
  void End() {
    Print(/*all=*/true);
    std::fputc('\n', stdout);
  }

 private:
  void Print(bool all) {
    const std::string text = tokenizer_.Decode(tokens_);
    const size_t end = all ? text.size() : text.size() - Unfinished(text);
    if (end <= printed_) return;
    std::fwrite(text.data() + printed_, 1, end - printed_, stdout);
    std::fflush(stdout);
    printed_ = end;
  }

  const data::Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;
  size_t printed_ = 0;
};

/// What a text begins with that has no prompt.
int32_t FirstToken(const data::Tokenizer& tokenizer) {
  if (tokenizer.end() >= 0) return tokenizer.end();  // between documents, as GPT-2 was trained
  std::vector<int32_t> line_end;
  try {
    tokenizer.Encode("\n", line_end);
  } catch (const Error&) {  // the training text is one line
  }
  if (line_end.empty()) {
    throw Error(ErrorKind::kUsage, "is missing, and the vocabulary has no end of text or line to begin behind",
                "--prompt", "say what the text begins with");
  }
  return line_end.front();
}

std::vector<int32_t> TokensOf(const std::string& prompt, const data::Tokenizer& tokenizer) {
  const size_t valid = tokenizer.takes_bytes() ? prompt.size() : data::ValidPrefix(prompt);
  if (valid < prompt.size()) {
    throw Error(ErrorKind::kUsage, fmt::format("there is {}", data::NameCharacter(prompt, valid)), "--prompt",
                "write it as UTF-8");
  }
  std::vector<int32_t> tokens;
  try {
    tokenizer.Encode(prompt, tokens);
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.message(), "--prompt", "begin with text like that of the training");
  }
  data::WarnOfUnknown("--prompt", data::CountUnknown(tokens, tokenizer), tokens.size());
  return tokens;
}

void RequireNumbers(const infer::SamplingOptions& sampling) {
  // The command line's ranges let "nan" through.
  for (const auto& [value, name] :
       {std::pair(sampling.temperature, "--temperature"), std::pair(sampling.top_p, "--top-p")})
    if (std::isnan(value)) throw Error(ErrorKind::kUsage, "is no number", name, "see lockstep generate --help");
}

int Generate(const GenerateOptions& options) {
  RequireNumbers(options.sampling);
  const TrainedRun run(options.run);
  if (!run.recipe().model().has_gpt())
    throw Error(ErrorKind::kUsage, "the run's model does not write on from a prompt", options.run,
                "lockstep predict transcribes and translates");
  const data::Tokenizer& tokenizer = *run.tokenizer();
  const models::Gpt& gpt = run.recipe().model().gpt();
  const int64_t capacity = gpt.context() > 0 ? gpt.context() : run.recipe().data().block();
  infer::Decoder decoder(DecoderModelOf(run.recipe().model(), run.shape()), run.weights(),
                         {.rows = 1, .capacity = capacity});
  std::vector<int32_t> text = TokensOf(options.prompt, tokenizer);
  Stream stream(tokenizer);
  for (int32_t token : text) stream.Add(token);
  if (text.empty()) text.push_back(FirstToken(tokenizer));

  infer::Sampler sampler(options.sampling);
  const auto start = std::chrono::steady_clock::now();
  size_t read = 0;
  for (int64_t count = 0; count < options.tokens; ++count) {
    // Where the context is full, the model goes on from its later half.
    const bool full = decoder.length() + static_cast<int64_t>(text.size() - read) > capacity;
    if (full) {
      decoder.Reset();
      read = text.size() - std::min(text.size(), static_cast<size_t>(std::max<int64_t>(1, capacity / 2)));
    }
    decoder.Read(std::span(text).subspan(read, text.size() - 1 - read));
    read = text.size();
    const std::span<const float> logits = decoder.Step({&text.back(), 1});
    // A vocabulary may be padded: what the tokenizer lacks is never written.
    const size_t known = std::min(logits.size(), static_cast<size_t>(tokenizer.size()));
    const int32_t token = sampler.Draw(logits.first(known), static_cast<uint64_t>(count));
    if (token == tokenizer.end()) break;
    text.push_back(token);
    stream.Add(token);
  }
  stream.End();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.speed) std::fprintf(stderr, "%.1f tokens/s\n", static_cast<double>(options.tokens) / seconds);
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
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command
      ->add_option("--temperature", options->sampling.temperature,
                   "what logits are divided by: below 1 likelier, above 1 more surprising tokens; 0: the likeliest")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->add_option("--top-k", options->sampling.top_k, "draw from the k likeliest tokens alone (0: all)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--top-p", options->sampling.top_p, "draw from the fewest tokens that come to this probability")
      ->check(CLI::Range(0.0, 1.0))
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
