#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/byte_pair_encoder.h"
#include "data/text/tokenizers/tokenizer_json.h"
#include "tests/data/test_files.h"
#include "tests/data/text/text_test_files.h"

namespace lockstep::data {
namespace {

using Json = nlohmann::json;

std::unique_ptr<Tokenizer> Read(const Json& json) { return ReadTokenizerJson(json.dump(), "/d/tokenizer.json"); }

/// The table's vocabulary as GPT-2's two files.
std::unique_ptr<Tokenizer> SmallBpe() {
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : ExpectedTokens()["merges"]) merges += merge.get<std::string>() + "\n";
  return ReadByteLevelBpe(ExpectedModel()["vocab"].dump(), "/d/vocab.json", merges, "/d/merges.txt");
}

TEST(ByteLevelBpe, GivesTheIdsOfTokenizers) {
  const Json& table = ExpectedTokens();
  ASSERT_GE(table["cases"].size(), 10u);
  for (const Json& expected : table["cases"]) {
    const auto tokenizer = Read(ExpectedTokenizer(expected));
    for (size_t i = 0; i < table["texts"].size(); ++i) {
      const auto text = table["texts"][i].get<std::string>();
      EXPECT_EQ(Ids(*tokenizer, text), expected["ids"][i].get<std::vector<int32_t>>())
          << expected["name"] << ": " << text;
    }
  }
}

TEST(ByteLevelBpe, GivesGpt2sIds) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set: no GPT-2 vocabulary";
  const std::string folder = RealData() + "/gpt2-bpe/";
  const auto tokenizer = OpenByteLevelBpe(folder + "encoder.json", folder + "vocab.bpe");
  EXPECT_EQ(tokenizer->size(), 50257);
  EXPECT_EQ(tokenizer->end(), 50256);
  EXPECT_EQ(Ids(*tokenizer, "Hello, world!"), (std::vector<int32_t>{15496, 11, 995, 0}));
  const Json& table = ExpectedTokens();
  for (size_t i = 0; i < table["texts"].size(); ++i) {
    const auto text = table["texts"][i].get<std::string>();
    const std::vector<int32_t> ids = Ids(*tokenizer, text);
    EXPECT_EQ(ids, table["gpt2_ids"][i].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer->Decode(ids), text);
  }
}

TEST(ByteLevelBpe, AnyBytesComeBack) {
  const auto tokenizer = SmallBpe();
  std::mt19937 random(1);
  for (const std::string text :
       {"\xED\xA0\x80 lone surrogate", "caf\xE9 au lait", "\xF0\x9F\x91", "\xC0\xAF\xFF\xFE", "é\x80é"}) {
    EXPECT_EQ(tokenizer->Decode(Ids(*tokenizer, text)), text);
  }
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (uint32_t size = random() % 300; text.size() < size;) text.push_back(static_cast<char>(random()));
    EXPECT_EQ(tokenizer->Decode(Ids(*tokenizer, text)), text);
  }
}

TEST(ByteLevelBpe, WhatIsNoUtf8LeavesOtherWordsAsTheyAre) {
  const auto tokenizer = SmallBpe();
  std::vector<int32_t> expected = Ids(*tokenizer, "the king");
  const std::vector<int32_t> after = Ids(*tokenizer, " is here");
  expected.push_back(Ids(*tokenizer, "\xFF").at(0));
  expected.insert(expected.end(), after.begin(), after.end());
  EXPECT_EQ(Ids(*tokenizer, "the king\xFF is here"), expected);
}

/// Merges as the paper states them: the pair of lowest rank, leftmost first.
std::vector<int32_t> MergePlainly(const BpeVocabulary& vocabulary, std::vector<int32_t> ids) {
  for (;;) {
    size_t best_rank = vocabulary.merges.size(), best = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (vocabulary.merges[rank].left != ids[i] || vocabulary.merges[rank].right != ids[i + 1]) continue;
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == vocabulary.merges.size()) return ids;
    ids[best] = vocabulary.merges[best_rank].merged;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(ByteLevelBpe, ShortLongAndCachedWordsAreMergedInTheSameOrder) {
  BpeVocabulary vocabulary{.tokens = {"a", "b", "ab", "ba", "aba", "abab", "aa", "bab"},
                           .merges = {{0, 0, 6}, {2, 0, 4}, {0, 1, 2}, {2, 2, 5}, {1, 0, 3}, {1, 2, 7}}};
  const BytePairEncoder encoder(vocabulary);
  BytePairEncoder::Memory memory;
  std::mt19937 random(3);
  for (uint32_t size = 1; size < 400; size += 1 + size / 10) {
    for (int round = 0; round < 5; ++round) {
      std::string word;
      std::vector<int32_t> bytes;
      for (uint32_t i = 0; i < size; ++i) bytes.push_back(random() % 2 != 0);
      for (int32_t byte : bytes) word.push_back(byte == 0 ? 'a' : 'b');
      const std::vector<int32_t> expected = MergePlainly(vocabulary, bytes);
      for (int again = 0; again < 2; ++again) {
        std::vector<int32_t> ids;
        ASSERT_TRUE(encoder.Encode(word, memory, ids));
        EXPECT_EQ(ids, expected) << word;
      }
    }
  }
}

TEST(ByteLevelBpe, AFullCacheForgetsAndGoesOn) {
  const auto tokenizer = SmallBpe();
  const std::vector<int32_t> before = Ids(*tokenizer, "the word 100000");
  for (int i = 0; i < 200'000; ++i) Ids(*tokenizer, std::to_string(i) + "x");
  EXPECT_EQ(Ids(*tokenizer, "the word 100000"), before);
}

TEST(ByteLevelBpe, ThreadsShareATokenizer) {
  const auto tokenizer = SmallBpe();
  const auto texts = ExpectedTokens()["texts"].get<std::vector<std::string>>();
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& text : texts) expected.push_back(Ids(*tokenizer, text));
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int& mine : wrong) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        for (size_t i = 0; i < texts.size(); ++i) mine += Ids(*tokenizer, texts[i]) != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(ByteLevelBpe, FingerprintHashesContentAlone) {
  const TempFolder folder;
  const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2})";
  const auto open = [&](const std::string& name, const std::string& vocab, const std::string& merges) {
    return OpenByteLevelBpe(folder.Write(name + ".json", vocab), folder.Write(name + ".txt", merges))->fingerprint();
  };
  const uint64_t plain = open("x", vocabulary, "a b\n");
  EXPECT_EQ(plain, open("y", R"({"ab":2,"b":1,"a":0})", "#version: 0.2\r\na b\r\n"));
  EXPECT_EQ(plain, open("z", Gzip(vocabulary), "a b"));
  EXPECT_NE(plain, open("x", vocabulary, ""));
  EXPECT_NE(plain, open("x", R"({"a": 1, "b": 0, "ab": 2})", "a b\n"));
}

TEST(ByteLevelBpe, NamesWhatAVocabularyLacks) {
  const auto tokenizer = ReadByteLevelBpe(R"({"a": 0, "Ġ": 1, "Ã": 2})", "v", "", "m");
  EXPECT_EQ(Ids(*tokenizer, "a a"), (std::vector<int32_t>{0, 1, 0}));
  ExpectError(ErrorKind::kData, {"lacks U+0062 'b', at byte 2"}, [&] { Ids(*tokenizer, "a b"); });
  ExpectError(ErrorKind::kData, {"lacks U+00E9 'é', at byte 1"}, [&] { Ids(*tokenizer, "aé"); });
  ExpectError(ErrorKind::kData, {"no token 3"}, [&] { tokenizer->Decode(std::vector<int32_t>{3}); });
}

void ExpectBadFiles(const std::string& vocabulary, const std::string& merges, const std::vector<std::string>& parts) {
  ExpectError(ErrorKind::kData, parts, [&] { ReadByteLevelBpe(vocabulary, "/d/vocab.json", merges, "/d/merges.txt"); });
}

TEST(ByteLevelBpe, NamesFileAndLineOfDamage) {
  const std::string good = R"({"a": 0, "b": 1, "ab": 2})";
  ExpectBadFiles("", "", {"/d/vocab.json: this is no JSON", "line 1"});
  ExpectBadFiles(good.substr(0, 12), "", {"/d/vocab.json: this is no JSON", "line 1, column 13"});
  ExpectBadFiles("[1]", "", {"/d/vocab.json: this is no vocabulary"});
  ExpectBadFiles("{}", "", {"/d/vocab.json: there are no tokens"});
  ExpectBadFiles(R"({"a": "0"})", "", {"/d/vocab.json: the id of token 'a' is no integer"});
  ExpectBadFiles(R"({"a": 0.5})", "", {"the id of token 'a' is no integer"});
  ExpectBadFiles(R"({"a": -1})", "", {"token 'a' has the id -1"});
  ExpectBadFiles(R"({"a": 4000000000})", "", {"token 'a' has the id 4000000000"});
  ExpectBadFiles(R"({"a": 18446744073709551615})", "", {"token 'a' has the id"});
  ExpectBadFiles(R"({"a": 0, "b": 0})", "", {"token 'b' has the id 0, which another has"});
  ExpectBadFiles(R"({"": 0})", "", {"token 0 is empty"});
  ExpectBadFiles(good, "#version: 0.2\na b\na\n", {"/d/merges.txt:3: a merge is two tokens"});
  ExpectBadFiles(good, "a b c\n", {"/d/merges.txt:1: a merge is two tokens"});
  ExpectBadFiles(good, "a b\na c\n", {"/d/merges.txt:2: the merge of 'a' and 'c' names 'c'"});
  ExpectBadFiles(good, "a b\nb a\n", {"/d/merges.txt:2: the merge of 'b' and 'a' names 'ba'"});
  ExpectError(ErrorKind::kData, {"/nowhere/v.json: there is no such file"},
              [] { OpenByteLevelBpe("/nowhere/v.json", "/nowhere/m.txt"); });
}

}  // namespace
}  // namespace lockstep::data
