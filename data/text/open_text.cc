#include "data/text/open_text.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "data/text/load_text.h"
#include "data/text/token_blocks.h"
#include "data/text/token_files.h"
#include "data/text/tokenizers/token_errors.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {
namespace {

bool BeginsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

/// Where character `number` (from 0) of a UTF-8 text begins; its size where there are fewer.
size_t OffsetOfCharacter(std::string_view text, size_t number) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (BeginsCharacter(text[at]) && number-- == 0) return at;
  }
  return text.size();
}

/// The part between the fractions `begin` and `end` of the text's characters, rounded down.
std::string_view PartOf(std::string_view text, double begin, double end) {
  const auto characters = static_cast<double>(std::count_if(text.begin(), text.end(), BeginsCharacter));
  const size_t from = OffsetOfCharacter(text, static_cast<size_t>(begin * characters)),
               to = end >= 1 ? text.size() : OffsetOfCharacter(text, static_cast<size_t>(end * characters));
  return text.substr(from, to - from);
}

void RequirePart(double begin, double end, const std::string& field) {
  if (begin >= 0 && begin < end && end <= 1) return;
  throw Error(ErrorKind::kUsage, fmt::format("{} to {} is no part of a text", begin, end), field,
              "begin and end are fractions: 0 <= begin < end <= 1");
}

/// Other splits are cut as the training text is.
void RequireTrainingText(const TextOptions& options, const std::string& field) {
  if (options.block >= 1) return;
  throw Error(ErrorKind::kUsage, "the samples of data.train are no text", field, "all splits must look alike");
}

}  // namespace

std::unique_ptr<Dataset> OpenText(const Text& config, const std::string& field, uint64_t seed,
                                  const TextOptions& options) {
  const double end = config.has_end() ? config.end() : 1;
  RequirePart(config.begin(), end, field);
  RequireTrainingText(options, field);
  if (options.tokenizer == nullptr) {
    throw Error(ErrorKind::kUsage, "there is no tokenizer for this text", field,
                "set data.tokenizer to the one that data.train.tokens were made with");
  }
  const std::string text = LoadText(config.file(), field + ".file", options.tokenizer->takes_bytes());
  std::vector<int32_t> tokens;
  NamingFile(config.begin() > 0 ? fmt::format("{} from {} on", config.file(), config.begin()) : config.file(),
             [&] { options.tokenizer->Encode(PartOf(text, config.begin(), end), tokens); });
  WarnOfUnknown(config.file(), CountUnknown(tokens, *options.tokenizer), tokens.size());
  const TokenBlocksOptions blocks{.block = options.block,
                                  .vocabulary = options.tokenizer->size(),
                                  .cut_anew = options.training,
                                  .seed = seed,
                                  .tokenizer = options.tokenizer};
  return MakeTokenBlocks(MakeTokenSource(std::move(tokens)), blocks, config.file());
}

std::unique_ptr<Dataset> OpenTokens(const Tokens& config, const std::string& field,
                                    const FingerprintOptions& fingerprint, const TextOptions& options) {
  constexpr uint32_t kMostTokens = 1u << 30;
  const double end = config.has_end() ? config.end() : 1;
  RequirePart(config.begin(), end, field);
  RequireTrainingText(options, field);
  if (config.vocabulary() == 0 && options.tokenizer == nullptr) {
    throw Error(ErrorKind::kUsage, "is missing", field + ".vocabulary",
                "say how many tokens the vocabulary has (GPT-2's: 50257), or set data.tokenizer");
  }
  if (config.vocabulary() > kMostTokens)
    throw Error(ErrorKind::kUsage, fmt::format("{} tokens are too many", config.vocabulary()), field + ".vocabulary");
  const int32_t vocabulary =
      config.vocabulary() > 0 ? static_cast<int32_t>(config.vocabulary()) : options.tokenizer->size();
  const auto id_bytes = static_cast<int>(config.id_bytes());
  if (id_bytes != 0 && id_bytes != 2 && id_bytes != 4 && id_bytes != 8)
    throw Error(ErrorKind::kUsage, fmt::format("{} is not 2, 4 or 8", id_bytes), field + ".id_bytes");
  const std::vector<std::string> files(config.files().begin(), config.files().end());
  auto source = OpenTokenFiles(files, field,
                               {.vocabulary = vocabulary,
                                .begin = config.begin(),
                                .end = end,
                                .id_bytes = id_bytes,
                                .check_ids = !options.lists_errors,
                                .fingerprint = fingerprint});
  return MakeTokenBlocks(std::move(source),
                         {.block = options.block,
                          .vocabulary = vocabulary,
                          .cut_anew = options.training,
                          .seed = fingerprint.seed,
                          .tokenizer = options.tokenizer},
                         field);
}

}  // namespace lockstep::data
