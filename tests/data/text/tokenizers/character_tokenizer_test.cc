#include <gtest/gtest.h>

#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/tokenizer.h"
#include "tests/data/test_files.h"
#include "tests/data/text/text_test_files.h"

namespace lockstep::data {
namespace {

TEST(CharacterTokenizer, GivesCharactersTheirRanks) {
  const auto tokenizer = MakeCharacterTokenizer("bé€a\n😀b");
  EXPECT_EQ(tokenizer->size(), 6);
  EXPECT_EQ(Ids(*tokenizer, "\nabé€😀"), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{5, 3, 0}), "😀é\n");
  EXPECT_EQ(Ids(*tokenizer, ""), std::vector<int32_t>{});
  EXPECT_EQ(tokenizer->end(), -1);
}

TEST(CharacterTokenizer, AppendsToWhatIsThere) {
  std::vector<int32_t> ids = {7};
  MakeCharacterTokenizer("ab")->Encode("ba", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{7, 1, 0}));
}

TEST(CharacterTokenizer, NamesWhatTheAlphabetLacks) {
  const auto tokenizer = MakeCharacterTokenizer("abé");
  const auto encode = [&](std::string_view text) { return [&tokenizer, text] { Ids(*tokenizer, text); }; };
  ExpectError(ErrorKind::kData, {"lacks U+20AC '€', at byte 3"}, encode("aé€"));
  ExpectError(ErrorKind::kData, {"lacks U+000A, at byte 0"}, encode("\n"));
  ExpectError(ErrorKind::kData, {"lacks byte 0xE9, which is no UTF-8, at byte 1"}, encode("a\xE9"));
  ExpectError(ErrorKind::kData, {"lacks byte 0xED, which is no UTF-8, at byte 0"},
              encode("\xED\xA0\x80"));  // a surrogate
  ExpectError(ErrorKind::kData, {"no token 3: the vocabulary has 3"}, [&] {
    tokenizer->Decode(std::vector<int32_t>{0, 3});
  });
  ExpectError(ErrorKind::kData, {"no token -1"}, [&] { tokenizer->Decode(std::vector<int32_t>{-1}); });
}

TEST(CharacterTokenizer, RefusesACorpusWithoutCharacters) {
  ExpectError(ErrorKind::kData, {"is empty"}, [] { MakeCharacterTokenizer(""); });
  ExpectError(ErrorKind::kData, {"byte 0xC0, which is no UTF-8, at byte 2"},
              [] { MakeCharacterTokenizer("ab\xC0\xAF"); });
}

TEST(CharacterTokenizer, FingerprintIsTheAlphabets) {
  EXPECT_EQ(MakeCharacterTokenizer("abc")->fingerprint(), MakeCharacterTokenizer("cabba")->fingerprint());
  EXPECT_NE(MakeCharacterTokenizer("abc")->fingerprint(), MakeCharacterTokenizer("abd")->fingerprint());
}

TEST(ByteTokenizer, TakesAnyBytes) {
  const auto tokenizer = MakeByteTokenizer();
  EXPECT_EQ(tokenizer->size(), 256);
  const std::string text("a\0\xFFz", 4);
  EXPECT_EQ(Ids(*tokenizer, text), (std::vector<int32_t>{97, 0, 255, 122}));
  EXPECT_EQ(tokenizer->Decode(Ids(*tokenizer, text)), text);
  ExpectError(ErrorKind::kData, {"no token 256"}, [&] { tokenizer->Decode(std::vector<int32_t>{256}); });
}

}  // namespace
}  // namespace lockstep::data
