// Vocabularies for tests of tokenizers.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// What `tokenizers` made of odd texts (compare_tokenizers.py write).
inline const nlohmann::json& ExpectedTokens() {
  static const nlohmann::json table = [] {
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/data/text/expected_tokens.json");
    return nlohmann::json::parse(file);
  }();
  return table;
}

/// The model of the table's tokenizer.json.
inline nlohmann::json ExpectedModel() {
  const nlohmann::json& table = ExpectedTokens();
  nlohmann::json vocab = nlohmann::json::object();
  for (size_t id = 0; id < table["vocab"].size(); ++id) vocab[table["vocab"][id].get<std::string>()] = id;
  return {{"type", "BPE"}, {"vocab", vocab}, {"merges", table["merges"]}};
}

/// One of the table's cases as a whole tokenizer.json.
inline nlohmann::json ExpectedTokenizer(const nlohmann::json& expected_case) {
  nlohmann::json json = expected_case["tokenizer"];
  json["model"] = ExpectedModel();
  json["model"]["ignore_merges"] = json["ignore_merges"];
  return json;
}

inline std::vector<int32_t> Ids(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.Encode(text, ids);
  return ids;
}

}  // namespace lockstep::data
