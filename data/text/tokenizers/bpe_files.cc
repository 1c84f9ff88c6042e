#include "data/text/tokenizers/bpe_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {

using Json = nlohmann::json;

void VocabularyReader::AddToken(std::string_view token, int64_t id) {
  if (token.empty()) throw Problem{fmt::format("token {} is empty", id)};
  if (id < 0 || id >= kMostTokens) throw Problem{fmt::format("token '{}' has the id {}", token, id)};
  auto& tokens = vocabulary_.tokens;
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  if (!tokens[index].empty())
    throw Problem{fmt::format("token '{}' has the id {}, which another has as well", token, id)};
  tokens[index] = BytesOfToken(token);
  ids_.emplace(token, static_cast<int32_t>(id));
}

int32_t VocabularyReader::Find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

void VocabularyReader::AddMerge(std::string_view left, std::string_view right) {
  const auto find = [&](std::string_view token) {
    const int32_t id = Find(token);
    if (id < 0) {
      throw Problem{
          fmt::format("the merge of '{}' and '{}' names '{}', which is not in the vocabulary", left, right, token)};
    }
    return id;
  };
  vocabulary_.merges.push_back({find(left), find(right), find(std::string(left).append(right))});
}

namespace {

void ReadVocabulary(std::string_view text, const std::string& path, VocabularyReader& reader) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    throw DamagedFile(path, fmt::format("this is no JSON: {}", error.what()));
  }
  if (!json.is_object()) throw DamagedFile(path, "this is no vocabulary: a JSON object of tokens and their ids");
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_integer()) throw DamagedFile(path, fmt::format("the id of token '{}' is no integer", token));
    try {
      reader.AddToken(token, id.get<int64_t>());
    } catch (const VocabularyReader::Problem& problem) {
      throw DamagedFile(path, problem.message);
    }
  }
  if (json.empty()) throw DamagedFile(path, "there are no tokens");
}

void ReadMerges(std::string_view text, const std::string& path, VocabularyReader& reader) {
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view merge = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (merge.ends_with('\r')) merge.remove_suffix(1);
    if (merge.empty() || merge.starts_with("#version")) continue;
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      throw DamagedFile(path, "a merge is two tokens with a space between them", std::to_string(line));
    }
    try {
      reader.AddMerge(merge.substr(0, space), merge.substr(space + 1));
    } catch (const VocabularyReader::Problem& problem) {
      throw DamagedFile(path, problem.message, std::to_string(line));
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> ReadByteLevelBpe(std::string_view vocabulary, const std::string& vocabulary_path,
                                            std::string_view merges, const std::string& merges_path) {
  VocabularyReader reader;
  ReadVocabulary(vocabulary, vocabulary_path, reader);
  ReadMerges(merges, merges_path, reader);
  ByteLevelParts parts;
  parts.end = reader.Find("<|endoftext|>");
  parts.vocabulary = reader.Take();
  SplitStep& step = parts.steps.emplace_back();
  step.pattern = kGpt2Pattern;
  step.regex = Regex::FromOniguruma(kGpt2Pattern);
  return std::make_unique<ByteLevelTokenizer>(std::move(parts));
}

std::unique_ptr<Tokenizer> OpenByteLevelBpe(const std::string& vocabulary_path, const std::string& merges_path) {
  const std::string vocabulary = LoadTextFile(vocabulary_path), merges = LoadTextFile(merges_path);
  return ReadByteLevelBpe(vocabulary, vocabulary_path, merges, merges_path);
}

}  // namespace lockstep::data
