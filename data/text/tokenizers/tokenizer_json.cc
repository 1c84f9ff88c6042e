#include "data/text/tokenizers/tokenizer_json.h"

// Hugging Face's tokenizer.json: https://huggingface.co/docs/tokenizers. What decides ids is read or refused, never
// passed over.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

using Json = nlohmann::json;

/// A value of the file, and its name for messages ("model.merges").
class Field {
 public:
  Field(const Json& json, std::string name, const std::string& path)
      : json_(&json), name_(std::move(name)), path_(path) {}

  [[noreturn]] void Damaged(const std::string& message) const {
    throw DamagedFile(path_, name_.empty() ? message : fmt::format("{}: {}", name_, message));
  }
  [[noreturn]] void Unsupported(const std::string& message) const {
    throw UnsupportedFile(path_, name_.empty() ? message : fmt::format("{}: {}", name_, message));
  }

  const Json& json() const { return *json_; }
  bool is_null() const { return json_->is_null(); }

  /// A member; null where there is none.
  Field operator[](const char* key) const {
    static const Json kNull;
    if (!json_->is_object()) Damaged("this is no JSON object");
    const auto found = json_->find(key);
    return {found == json_->end() ? kNull : *found, name_.empty() ? key : fmt::format("{}.{}", name_, key), path_};
  }
  std::vector<Field> Items() const {
    if (!json_->is_array()) Damaged("this is no JSON array");
    std::vector<Field> items;
    for (size_t i = 0; i < json_->size(); ++i) items.emplace_back((*json_)[i], fmt::format("{}[{}]", name_, i), path_);
    return items;
  }
  const std::string& String() const {
    if (!json_->is_string()) Damaged("this is no string");
    return json_->get_ref<const std::string&>();
  }
  bool Bool(bool missing) const {
    if (is_null()) return missing;
    if (!json_->is_boolean()) Damaged("this is neither true nor false");
    return json_->get<bool>();
  }
  int64_t Integer() const {
    if (!json_->is_number_integer()) Damaged("this is no integer");
    return json_->get<int64_t>();
  }
  /// Refuses any value but null, false and "".
  void RefuseUnlessEmpty() const {
    const Json& json = *json_;
    if (is_null() || json == Json(false) || json == Json("") || json == Json(0.0)) return;
    Unsupported(fmt::format("{} is not supported here",
                            json.is_structured() ? "this" : json.dump(-1, ' ', true, Json::error_handler_t::replace)));
  }

 private:
  const Json* json_;
  std::string name_;
  const std::string& path_;
};

void ReadMerge(const Field& merge, VocabularyReader& reader) {
  std::string left, right;
  if (merge.json().is_array()) {
    const std::vector<Field> pair = merge.Items();
    if (pair.size() != 2) merge.Damaged("a merge is two tokens");
    left = pair[0].String();
    right = pair[1].String();
  } else {
    const std::string& text = merge.String();
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      merge.Damaged("a merge is two tokens with a space between them");
    }
    left = text.substr(0, space);
    right = text.substr(space + 1);
  }
  try {
    reader.AddMerge(left, right);
  } catch (const VocabularyReader::Problem& problem) {
    merge.Damaged(problem.message);
  }
}

BpeVocabulary ReadModel(const Field& model) {
  const Field type = model["type"];
  // Files of old lack it: then merges tell.
  if (!type.is_null() && type.String() != "BPE")
    type.Unsupported(fmt::format("{} is not supported, only BPE", type.String()));
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    model[name].RefuseUnlessEmpty();
  VocabularyReader reader;
  const Field tokens = model["vocab"];
  if (!tokens.json().is_object()) tokens.Damaged("this is no JSON object of tokens and their ids");
  for (const auto& [token, id] : tokens.json().items()) {
    if (!id.is_number_integer()) tokens.Damaged(fmt::format("the id of token '{}' is no integer", token));
    try {
      reader.AddToken(token, id.get<int64_t>());
    } catch (const VocabularyReader::Problem& problem) {
      tokens.Damaged(problem.message);
    }
  }
  for (const Field& merge : model["merges"].Items()) ReadMerge(merge, reader);
  BpeVocabulary vocabulary = reader.Take();
  vocabulary.ignore_merges = model["ignore_merges"].Bool(false);
  return vocabulary;
}

void ReadNormalizer(const Field& normalizer, std::vector<Normalization>& normalizations) {
  if (normalizer.is_null()) return;
  const std::string& type = normalizer["type"].String();
  if (type == "Sequence") {
    for (const Field& item : normalizer["normalizers"].Items()) ReadNormalizer(item, normalizations);
  } else if (type == "NFC") {
    normalizations.push_back(Normalization::kNfc);
  } else if (type == "NFD") {
    normalizations.push_back(Normalization::kNfd);
  } else if (type == "NFKC") {
    normalizations.push_back(Normalization::kNfkc);
  } else if (type == "NFKD") {
    normalizations.push_back(Normalization::kNfkd);
  } else {
    normalizer.Unsupported(fmt::format("the normalizer {} is not supported, only NFC, NFD, NFKC and NFKD", type));
  }
}

SplitStep RegexStep(const Field& field, const std::string& pattern, bool literal) {
  SplitStep step;
  step.pattern = (literal ? "literal " : "regex ") + pattern;
  try {
    step.regex = literal ? Regex::FromLiteral(pattern) : Regex::FromOniguruma(pattern);
  } catch (const std::invalid_argument& error) {
    field.Unsupported(fmt::format("the pattern '{}' can't be used: {}", pattern, error.what()));
  }
  return step;
}

SplitStep::Behavior ReadBehavior(const Field& behavior) {
  const std::string& name = behavior.String();
  if (name == "Isolated") return SplitStep::Behavior::kIsolated;
  if (name == "Removed") return SplitStep::Behavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitStep::Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitStep::Behavior::kMergedWithNext;
  if (name == "Contiguous") return SplitStep::Behavior::kContiguous;
  behavior.Unsupported(fmt::format("{} is not supported", name));
}

SplitStep ReadSplit(const Field& split) {
  const Field pattern = split["pattern"], regex = pattern["Regex"];
  SplitStep step = regex.is_null() ? RegexStep(pattern, pattern["String"].String(), /*literal=*/true)
                                   : RegexStep(pattern, regex.String(), /*literal=*/false);
  step.behavior = ReadBehavior(split["behavior"]);
  step.invert = split["invert"].Bool(false);
  return step;
}

/// Returns whether the bytes are mapped to characters somewhere, which makes a vocabulary byte-level.
bool ReadPreTokenizer(const Field& field, std::vector<SplitStep>& steps) {
  if (field.is_null()) return false;
  const std::string& type = field["type"].String();
  if (type == "Sequence") {
    bool byte_level = false;
    for (const Field& item : field["pretokenizers"].Items()) {
      if (byte_level) item.Unsupported("a pre-tokenizer after ByteLevel is not supported");
      byte_level = ReadPreTokenizer(item, steps);
    }
    return byte_level;
  }
  if (type == "ByteLevel") {
    SplitStep step = field["use_regex"].Bool(true) ? RegexStep(field, std::string(kGpt2Pattern), false) : SplitStep{};
    step.prefix_space = field["add_prefix_space"].Bool(true);
    if (step.regex || step.prefix_space) steps.push_back(std::move(step));
    return true;
  }
  if (type == "Split") {
    steps.push_back(ReadSplit(field));
  } else if (type == "Digits") {
    steps.push_back(RegexStep(field, R"(\p{N})", false));
    steps.back().behavior =
        field["individual_digits"].Bool(false) ? SplitStep::Behavior::kIsolated : SplitStep::Behavior::kContiguous;
  } else {
    field.Unsupported(fmt::format("the pre-tokenizer {} is not supported, only ByteLevel, Split and Digits", type));
  }
  return false;
}

std::vector<AddedToken> ReadAddedTokens(const Field& field) {
  std::vector<AddedToken> tokens;
  if (field.is_null()) return tokens;
  for (const Field& item : field.Items()) {
    AddedToken& token = tokens.emplace_back();
    const int64_t id = item["id"].Integer();
    if (id < 0 || id >= kMostTokens) item["id"].Damaged(fmt::format("{} is no token's id", id));
    token.id = static_cast<int32_t>(id);
    token.content = item["content"].String();
    token.strip_left = item["lstrip"].Bool(false);
    token.strip_right = item["rstrip"].Bool(false);
    token.special = item["special"].Bool(false);
    token.normalized = item["normalized"].Bool(!token.special);
    if (item["single_word"].Bool(false)) item["single_word"].Unsupported("true is not supported");
  }
  return tokens;
}

/// The id of the first of these that is there and special.
int32_t FindSpecial(const std::vector<AddedToken>& tokens, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    for (const AddedToken& token : tokens) {
      if (token.special && token.content == name) return token.id;
    }
  }
  return -1;
}

}  // namespace

std::unique_ptr<Tokenizer> ReadTokenizerJson(std::string_view text, const std::string& path) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    throw DamagedFile(path, fmt::format("this is no JSON: {}", error.what()));
  }
  const Field file(json, "", path);
  ByteLevelParts parts;
  if (file["model"].is_null()) file.Damaged("there is no model: this is no tokenizer.json");
  parts.vocabulary = ReadModel(file["model"]);
  ReadNormalizer(file["normalizer"], parts.normalizations);
  if (!ReadPreTokenizer(file["pre_tokenizer"], parts.steps)) {
    file["pre_tokenizer"].Unsupported("there is no ByteLevel: only byte-level BPE is supported");
  }
  const Field decoder = file["decoder"];
  if (decoder.is_null() || decoder["type"].String() != "ByteLevel") decoder.Unsupported("this is not ByteLevel");
  parts.added_tokens = ReadAddedTokens(file["added_tokens"]);
  parts.end = FindSpecial(parts.added_tokens, {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]"});
  parts.begin = FindSpecial(parts.added_tokens, {"<|begin_of_text|>", "<|startoftext|>", "<s>", "<bos>", "[BOS]"});
  parts.padding = FindSpecial(parts.added_tokens, {"<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>"});
  return std::make_unique<ByteLevelTokenizer>(std::move(parts));
}

std::unique_ptr<Tokenizer> OpenTokenizerJson(const std::string& path) {
  return ReadTokenizerJson(LoadTextFile(path), path);
}

}  // namespace lockstep::data
