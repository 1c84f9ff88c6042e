#include "launch/commands/data/tokenize_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/files/file.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/token_errors.h"
#include "data/text/tokenizers/tokenizer_json.h"
#include "data/text/write_token_file.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/commands.h"
#include "launch/supervise/console.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

/// The tokenizer, and how a recipe names it.
struct NamedTokenizer {
  std::unique_ptr<data::Tokenizer> tokenizer;
  std::string recipe;
};

NamedTokenizer Open(const TokenizeOptions& options) {
  const int named = (options.tokenizer_json.empty() ? 0 : 1) + (options.vocabulary.empty() ? 0 : 1) +
                    (options.sentencepiece.empty() ? 0 : 1) + (options.bytes ? 1 : 0);
  if (named != 1 || options.vocabulary.empty() != options.merges.empty()) {
    throw Error(ErrorKind::kUsage, named > 1 ? "several tokenizers are named" : "no tokenizer is named",
                "lockstep tokenize",
                "give one of --tokenizer-json FILE, --vocab FILE with --merges FILE, --sentencepiece FILE, --bytes");
  }
  if (options.bytes) return {data::MakeByteTokenizer(), "bytes {}"};
  if (!options.tokenizer_json.empty())
    return {data::OpenTokenizerJson(options.tokenizer_json),
            fmt::format("tokenizer_json: \"{}\"", options.tokenizer_json)};
  if (!options.sentencepiece.empty())
    return {data::OpenSentencePiece(options.sentencepiece),
            fmt::format("sentencepiece: \"{}\"", options.sentencepiece)};
  return {data::OpenByteLevelBpe(options.vocabulary, options.merges),
          fmt::format("byte_level_bpe {{ vocabulary: \"{}\" merges: \"{}\" }}", options.vocabulary, options.merges)};
}

uint64_t SizeOf(const std::vector<std::string>& paths) {
  uint64_t bytes = 0;
  for (const std::string& path : paths) {
    std::error_code error;  // a missing file is told about when its turn to be read comes
    const uint64_t size = std::filesystem::file_size(path, error);
    if (!error) bytes += size;
  }
  return bytes;
}

/// Says every few seconds how far it is.
class Progress {
 public:
  explicit Progress(uint64_t all) : all_(all) {}

  void operator()(uint64_t bytes, uint64_t tokens) {
    constexpr std::chrono::seconds kPause(5);
    const auto now = std::chrono::steady_clock::now();
    if (now - said_ < kPause) return;
    said_ = now;
    const double seconds = std::chrono::duration<double>(now - begin_).count(), done = static_cast<double>(bytes);
    Say(fmt::format("{:.0f} % of {:.1f} MB, {} tokens, {:.1f} MB/s", 100 * done / static_cast<double>(all_),
                    static_cast<double>(all_) / 1e6, tokens, done / 1e6 / seconds));
  }

 private:
  const uint64_t all_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point said_ = begin_;
};

void RequireNewOutput(const TokenizeOptions& options) {
  if (!FileSystem::Real().Exists(options.output)) return;
  records::RequireReplaceable(options.output);
  for (const std::string& input : options.inputs) {
    std::error_code ignored;
    if (std::filesystem::equivalent(input, options.output, ignored))
      throw Error(ErrorKind::kUsage, "is an input and the output", options.output, "name another output");
  }
  if (!options.force)
    throw Error(ErrorKind::kUsage, "there is such a file already", options.output, "name another, or add --force");
}

}  // namespace

int TokenizeCommand(const TokenizeOptions& options) {
  RequireNewOutput(options);
  const NamedTokenizer named = Open(options);
  Progress progress(std::max<uint64_t>(SizeOf(options.inputs), 1));
  data::WriteTokenOptions write{.threads = options.threads > 0
                                               ? options.threads
                                               : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))};
  write.parts.any_bytes = options.bytes;
  write.on_progress = [&](uint64_t bytes, uint64_t tokens) { progress(bytes, tokens); };
  const data::WrittenTokens written = data::WriteTokenFile(options.inputs, *named.tokenizer, options.output, write);
  fmt::print(
      "wrote {}: {} tokens of {} bits from {} bytes of text\n"
      "data {{\n  train {{ tokens {{ files: \"{}\" }} }}\n  tokenizer {{ {} }}  # {} tokens\n}}\n",
      options.output, written.tokens, 8 * written.width, written.bytes, options.output, named.recipe,
      named.tokenizer->size());
  data::WarnOfUnknown(options.output, written.unknown, written.tokens);
  return 0;
}

void AddTokenizeCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("tokenize", "Turn texts into a file of token ids, for data of any size");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("INPUT", options->inputs, "texts, UTF-8, plain or gzipped; one behind the other")->required();
  command->add_option("-o,--output", options->output, "the file of token ids")->required();
  command->add_option("--tokenizer-json", options->tokenizer_json, "Hugging Face's tokenizer.json");
  command->add_option("--vocab", options->vocabulary, "vocab.json or encoder.json of GPT-2's kind, with --merges");
  command->add_option("--merges", options->merges, "merges.txt or vocab.bpe");
  command->add_option("--sentencepiece", options->sentencepiece, "a SentencePiece model");
  command->add_flag("--bytes", options->bytes, "tokens are bytes, of any file");
  command->add_option("--threads", options->threads, "that encode, 0: one for each core")
      ->check(WholeNumber(0))
      ->capture_default_str();
  command->add_flag("--force", options->force, "replace the output where it is there");
  command->footer(
      "Ids are those of the texts as a whole, and the same for any number of threads. They are written as 16-bit\n"
      "integers (nanoGPT's .bin), those of vocabularies above 65,536 as 32-bit integers behind llm.c's header. "
      "Neither\n"
      "texts nor tokens need to fit into memory. Nothing is put between texts.\n"
      "Examples:\n"
      "  lockstep tokenize input.txt -o train.bin --vocab encoder.json --merges vocab.bpe\n"
      "  lockstep tokenize books-*.txt.gz -o books.bin --sentencepiece pieces.model");
  command->callback([options, exit_code] { *exit_code = TokenizeCommand(*options); });
}

}  // namespace lockstep::launch
