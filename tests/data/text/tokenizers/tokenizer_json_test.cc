#include <gtest/gtest.h>

#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/tokenizer_json.h"
#include "tests/data/test_files.h"
#include "tests/data/text/text_test_files.h"

namespace lockstep::data {
namespace {

using Json = nlohmann::json;

Json Good() {
  return Json::parse(R"({
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"},
    "added_tokens": [{"id": 3, "content": "<|endoftext|>", "special": true}, {"id": 5, "content": "<s>", "special": true}],
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
  })");
}

std::unique_ptr<Tokenizer> Read(const Json& json) { return ReadTokenizerJson(json.dump(), "/d/t.json"); }

/// The good file with `value` at `pointer`.
Json With(const std::string& pointer, const std::string& value) {
  Json json = Good();
  json[Json::json_pointer(pointer)] = Json::parse(value);
  return json;
}

TEST(TokenizerJson, KnowsAddedTokensAndTheUsualNames) {
  const auto tokenizer = Read(Good());
  EXPECT_EQ(tokenizer->size(), 6);
  EXPECT_EQ(tokenizer->end(), 3);
  EXPECT_EQ(tokenizer->begin(), 5);
  EXPECT_EQ(tokenizer->padding(), -1);
  EXPECT_EQ(Ids(*tokenizer, "ab<|endoftext|>b<s>"), (std::vector<int32_t>{2, 3, 1, 5}));
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{2, 3, 1, 5}), "ab<|endoftext|>b<s>");
  ExpectError(ErrorKind::kData, {"no token 4"}, [&] { tokenizer->Decode(std::vector<int32_t>{4}); });
}

TEST(TokenizerJson, ReadsMergesOfBothForms) {
  const auto pairs = Read(With("/model/merges", R"([["a", "b"]])"));
  EXPECT_EQ(Ids(*pairs, "abb"), (std::vector<int32_t>{2, 1}));
  EXPECT_EQ(pairs->fingerprint(), Read(Good())->fingerprint());
}

TEST(TokenizerJson, FingerprintHasAllThatDecides) {
  const uint64_t good = Read(Good())->fingerprint();
  EXPECT_EQ(good, Read(With("/post_processor", R"({"type": "ByteLevel"})"))->fingerprint());
  for (const auto& [pointer, value] :
       std::vector<std::pair<std::string, std::string>>{{"/normalizer", R"({"type": "NFC"})"},
                                                        {"/pre_tokenizer/add_prefix_space", "true"},
                                                        {"/pre_tokenizer/use_regex", "false"},
                                                        {"/added_tokens/0/content", R"("<eos>")"},
                                                        {"/added_tokens/0/lstrip", "true"},
                                                        {"/model/ignore_merges", "true"},
                                                        {"/model/merges", "[]"}}) {
    EXPECT_NE(good, Read(With(pointer, value))->fingerprint()) << pointer;
  }
}

TEST(TokenizerJson, NamesTheFieldOfWhatIsNotSupported) {
  const auto expect = [](const std::string& pointer, const std::string& value, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kUsage, parts, [&] { Read(With(pointer, value)); });
  };
  expect("/model/type", R"("WordPiece")", {"/d/t.json: model.type: WordPiece is not supported"});
  expect("/model/dropout", "0.1", {"model.dropout: 0.1 is not supported"});
  expect("/model/end_of_word_suffix", R"("</w>")", {"model.end_of_word_suffix: \"</w>\" is not supported"});
  expect("/normalizer", R"({"type": "Lowercase"})", {"normalizer: the normalizer Lowercase is not supported"});
  expect("/pre_tokenizer", R"({"type": "Metaspace"})", {"pre_tokenizer: the pre-tokenizer Metaspace is not supported"});
  expect("/pre_tokenizer", "null", {"pre_tokenizer: there is no ByteLevel"});
  expect("/decoder", "null", {"decoder: this is not ByteLevel"});
  expect("/added_tokens/1/single_word", "true", {"added_tokens[1].single_word: true is not supported"});
  for (const char* pattern : {"[a&&b]", "[a[b]]", "\\\\h+", "\\\\bx", "[\\\\W]", "(", "\\\\p{Nonsense}"}) {
    expect("/pre_tokenizer",
           fmt::format(R"({{"type": "Sequence", "pretokenizers": [
               {{"type": "Split", "pattern": {{"Regex": "{}"}}, "behavior": "Isolated"}}, {{"type": "ByteLevel"}}]}})",
                       pattern),
           {"pre_tokenizer.pretokenizers[0].pattern", "can't be used"});
  }
}

TEST(TokenizerJson, NamesTheFieldOfDamage) {
  const auto expect = [](const std::string& pointer, const std::string& value, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { Read(With(pointer, value)); });
  };
  expect("/model", "null", {"/d/t.json: there is no model"});
  expect("/model/vocab", "[]", {"model.vocab: this is no JSON object"});
  expect("/model/vocab/a", "\"x\"", {"model.vocab: the id of token 'a' is no integer"});
  expect("/model/merges", "{}", {"model.merges: this is no JSON array"});
  expect("/model/merges", R"(["a b", "ab"])", {"model.merges[1]: a merge is two tokens"});
  expect("/model/merges", R"([["a"]])", {"model.merges[0]: a merge is two tokens"});
  expect("/model/merges", R"(["a b", "b b"])", {"model.merges[1]: the merge of 'b' and 'b' names 'bb'"});
  expect("/model/ignore_merges", "1", {"model.ignore_merges: this is neither true nor false"});
  expect("/added_tokens", "[{\"id\": -5, \"content\": \"x\"}]", {"added_tokens[0].id: -5 is no token's id"});
  expect("/added_tokens", "[{\"id\": 3}]", {"added_tokens[0].content: this is no string"});
  expect("/added_tokens", "[7]", {"added_tokens[0]: this is no JSON object"});
  ExpectError(ErrorKind::kData, {"/d/t.json: this is no JSON", "line 1, column 3"},
              [] { ReadTokenizerJson("{\"", "/d/t.json"); });
  ExpectError(ErrorKind::kData, {"/d/t.json"}, [] { ReadTokenizerJson("3", "/d/t.json"); });
  ExpectError(ErrorKind::kData, {"/nowhere: there is no such file"}, [] { OpenTokenizerJson("/nowhere"); });
}

}  // namespace
}  // namespace lockstep::data
