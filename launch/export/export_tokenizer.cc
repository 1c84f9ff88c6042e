#include "launch/export/export_tokenizer.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/open/open_dataset.h"
#include "data/text/open_tokenizer.h"
#include "data/text/sentencepiece/sentencepiece_model.pb.h"
#include "data/text/tokenizers/byte_level_tokenizer.h"
#include "data/text/tokenizers/token_errors.h"
#include "data/text/tokenizers/tokenizer.h"
#include "data/utf8.h"

namespace lockstep::launch {
namespace {

using data::Tokenizer;
using data::TokenizerConfig;
// Keeps the order of a file's fields, and of a vocabulary's ids.
using Json = nlohmann::ordered_json;

std::string TextOf(const Json& json) { return json.dump(2) + "\n"; }

Json BaseConfig(const char* tokenizer_class, int64_t context) {
  // Without the last, decoding leaves out spaces in front of punctuation.
  return {{"tokenizer_class", tokenizer_class}, {"model_max_length", context}, {"clean_up_tokenization_spaces", false}};
}

Json TokenOrNull(const Tokenizer& tokenizer, int32_t id) {
  return id < 0 ? Json() : Json(tokenizer.Decode(std::span(&id, 1)));
}

/// A tokenizer.json of tokens that are never merged.
std::string UnmergedTokenizer(const Json& vocabulary, const Json& pre_tokenizer, const Json& decoder) {
  return TextOf({{"version", "1.0"},
                 {"truncation", nullptr},
                 {"padding", nullptr},
                 {"added_tokens", Json::array()},
                 {"normalizer", nullptr},
                 {"pre_tokenizer", pre_tokenizer},
                 {"post_processor", nullptr},
                 {"decoder", decoder},
                 {"model",
                  {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false},
                   {"vocab", vocabulary},
                   {"merges", Json::array()}}}});
}

std::string CharactersAsTokenizerJson(const Tokenizer& tokenizer) {
  Json vocabulary = Json::object();
  for (int32_t id = 0; id < tokenizer.size(); ++id) vocabulary[tokenizer.Decode(std::span(&id, 1))] = id;
  return UnmergedTokenizer(vocabulary, nullptr, {{"type", "Fuse"}});
}

std::string BytesAsTokenizerJson() {
  Json vocabulary = Json::object();
  // The characters that stand for bytes; what BytesOfToken gives back as it is stands for none.
  for (char32_t character = '!'; character < 0x144; ++character) {
    if (character > '~' && character < 0xA1) continue;
    std::string token;
    data::AppendCharacter(character, token);
    const std::string bytes = data::BytesOfToken(token);
    if (bytes.size() == 1) vocabulary[token] = static_cast<uint8_t>(bytes[0]);
  }
  CHECK(vocabulary.size() == 256);
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  return UnmergedTokenizer(vocabulary, byte_level, byte_level);
}

/// Leaves out what would put tokens around a text or cut it short: we do neither.
std::string WithoutFrame(const std::string& text) {
  Json file = Json::parse(text);
  bool changed = false;
  for (const char* name : {"truncation", "padding", "post_processor"}) {
    Json& part = file[name];
    if (part.is_null() || part.value("type", "") == "ByteLevel") continue;
    part = nullptr;
    changed = true;
  }
  return changed ? TextOf(file) : text;
}

void AddByteLevelBpe(const data::ByteLevelBpe& config, const Tokenizer& tokenizer, int64_t context,
                     ExportedTokenizer& exported) {
  // GPT-2 begins a text with what ends one.
  exported.begin = exported.end;
  const Json end = TokenOrNull(tokenizer, tokenizer.end());
  Json json = BaseConfig("GPT2Tokenizer", context);
  json.update({{"add_prefix_space", false}, {"bos_token", end}, {"eos_token", end}, {"unk_token", end}});
  exported.files = {{"vocab.json", data::LoadTextFile(config.vocabulary())},
                    {"merges.txt", data::LoadTextFile(config.merges())},
                    {"tokenizer_config.json", TextOf(json)}};
}

void AddFast(std::string tokenizer_json, const Tokenizer& tokenizer, int64_t context, ExportedTokenizer& exported) {
  Json json = BaseConfig("PreTrainedTokenizerFast", context);
  json.update({{"bos_token", TokenOrNull(tokenizer, tokenizer.begin())},
               {"eos_token", TokenOrNull(tokenizer, tokenizer.end())},
               {"pad_token", TokenOrNull(tokenizer, tokenizer.padding())}});
  exported.files = {{"tokenizer.json", std::move(tokenizer_json)}, {"tokenizer_config.json", TextOf(json)}};
}

void AddSentencePiece(const std::string& path, const Tokenizer& tokenizer, int64_t context,
                      ExportedTokenizer& exported) {
  std::string bytes = data::LoadTextFile(path);
  data::sentencepiece::Model model;
  CHECK(model.ParseFromString(bytes), "the tokenizer has read it");
  const auto piece = [&](int32_t id) { return id < 0 ? Json() : Json(model.pieces(id).piece()); };
  int32_t unknown = -1;
  for (int32_t id = 0; id < model.pieces_size(); ++id)
    if (model.pieces(id).type() == data::sentencepiece::Model::Piece::UNKNOWN) unknown = id;
  // The one of the classes over a SentencePiece model that asks the library and adds nothing: those of Llama and T5
  // normalize and split in ways of their own. A token that the model lacks would be added to the vocabulary.
  Json json = BaseConfig("BertGenerationTokenizer", context);
  json.update({{"bos_token", piece(tokenizer.begin())},
               {"eos_token", piece(tokenizer.end())},
               {"unk_token", piece(unknown)},
               {"pad_token", piece(tokenizer.padding())},
               {"sep_token", nullptr}});
  exported.files = {{"spiece.model", std::move(bytes)}, {"tokenizer_config.json", TextOf(json)}};
}

}  // namespace

ExportedTokenizer ExportTokenizer(const data::DataConfig& config, int64_t context) {
  const std::shared_ptr<const Tokenizer> tokenizer = data::OpenTokenizer(config);
  if (tokenizer == nullptr) return {};
  ExportedTokenizer exported;
  exported.size = tokenizer->size();
  exported.begin = tokenizer->begin();
  exported.end = tokenizer->end();
  const TokenizerConfig& kind = config.tokenizer();
  switch (kind.kind_case()) {
    case TokenizerConfig::kBytes:
      AddFast(BytesAsTokenizerJson(), *tokenizer, context, exported);
      break;
    case TokenizerConfig::kByteLevelBpe:
      AddByteLevelBpe(kind.byte_level_bpe(), *tokenizer, context, exported);
      break;
    case TokenizerConfig::kTokenizerJson:
      AddFast(WithoutFrame(data::LoadTextFile(kind.tokenizer_json())), *tokenizer, context, exported);
      break;
    case TokenizerConfig::kSentencepiece:
      AddSentencePiece(kind.sentencepiece(), *tokenizer, context, exported);
      break;
    case TokenizerConfig::kCharacters:
    case TokenizerConfig::KIND_NOT_SET:
      AddFast(CharactersAsTokenizerJson(*tokenizer), *tokenizer, context, exported);
      break;
  }
  return exported;
}

}  // namespace lockstep::launch
