#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "data/text/sentencepiece/sentencepiece_model.pb.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/sentencepiece/train_sentencepiece.h"
#include "tests/data/test_files.h"
#include "tests/data/text/text_test_files.h"

namespace lockstep::data {
namespace {

using Piece = sentencepiece::Model::Piece;
using testing::HasSubstr;
using testing::Not;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// <pad> <s> </s> <unk>, then these pieces; scores fall in their order.
sentencepiece::Model Model(const std::vector<std::string>& pieces) {
  sentencepiece::Model model;
  const auto add = [&](const std::string& name, Piece::Type type) {
    Piece* piece = model.add_pieces();
    piece->set_piece(name);
    piece->set_type(type);
    piece->set_score(type == Piece::NORMAL ? -static_cast<float>(model.pieces_size() - 5) : 0);
  };
  add("<pad>", Piece::CONTROL);
  add("<s>", Piece::CONTROL);
  add("</s>", Piece::CONTROL);
  add("<unk>", Piece::UNKNOWN);
  for (const std::string& piece : pieces) add(piece, Piece::NORMAL);
  model.mutable_trainer_spec()->set_model_type(sentencepiece::TrainerSpec::BPE);
  return model;
}

std::unique_ptr<Tokenizer> Read(const sentencepiece::Model& model) {
  return ReadSentencePiece(model.SerializeAsString(), "/d/m.model");
}

/// ▁ is 4, a 5, b 6, ab 7, ▁ab 8, bb 9.
const std::vector<std::string> kPieces = {"▁", "a", "b", "ab", "▁ab", "bb"};

TEST(SentencePiece, MergesTheBestPairFirst) {
  const auto tokenizer = Read(Model(kPieces));
  EXPECT_EQ(tokenizer->size(), 10);
  EXPECT_EQ(tokenizer->padding(), 0);
  EXPECT_EQ(tokenizer->begin(), 1);
  EXPECT_EQ(tokenizer->end(), 2);
  EXPECT_EQ(Ids(*tokenizer, "ab"), (std::vector<int32_t>{8}));
  EXPECT_EQ(Ids(*tokenizer, "  ab  abb "), (std::vector<int32_t>{8, 8, 6}));
  EXPECT_EQ(Ids(*tokenizer, "bb a"), (std::vector<int32_t>{4, 9, 4, 5}));
  EXPECT_EQ(Ids(*tokenizer, ""), std::vector<int32_t>{});
  EXPECT_EQ(Ids(*tokenizer, "   "), std::vector<int32_t>{});
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{1, 8, 4, 9, 2, 0}), "ab bb");
}

TEST(SentencePiece, FindsTheLikeliestPieces) {
  sentencepiece::Model model = Model(kPieces);
  model.mutable_trainer_spec()->set_model_type(sentencepiece::TrainerSpec::UNIGRAM);
  // "▁abb" is ▁ab b for -4 - 2, ▁ a bb for 0 - 1 - 5, ▁ ab b for 0 - 3 - 2 or ▁ a b b for 0 - 1 - 2 - 2: of the last
  // two the piece that begins first stays.
  EXPECT_EQ(Ids(*Read(model), "abb"), (std::vector<int32_t>{4, 7, 6}));
  model.mutable_pieces(7)->set_score(-3.5);
  EXPECT_EQ(Ids(*Read(model), "abb"), (std::vector<int32_t>{4, 5, 6, 6}));
  model.mutable_pieces(8)->set_score(-1);
  EXPECT_EQ(Ids(*Read(model), "abb"), (std::vector<int32_t>{8, 6}));
}

TEST(SentencePiece, ARunOfUnknownCharactersIsOnePiece) {
  for (const auto type : {sentencepiece::TrainerSpec::BPE, sentencepiece::TrainerSpec::UNIGRAM}) {
    sentencepiece::Model model = Model(kPieces);
    model.mutable_trainer_spec()->set_model_type(type);
    const auto tokenizer = Read(model);
    EXPECT_EQ(Ids(*tokenizer, "aéxb\xFFz"), (std::vector<int32_t>{4, 5, 3, 6, 3}));
    EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{5, 3, 6}), "a ⁇ b");
  }
}

TEST(SentencePiece, BytesStandForUnknownCharacters) {
  std::vector<std::string> pieces = kPieces;
  sentencepiece::Model model = Model(kPieces);
  model.mutable_trainer_spec()->set_byte_fallback(true);
  for (int byte = 0; byte < 256; ++byte) {
    Piece* piece = model.add_pieces();
    piece->set_piece(fmt::format("<0x{:02X}>", byte));
    piece->set_type(Piece::BYTE);
  }
  const auto tokenizer = Read(model);
  const std::vector<int32_t> ids = Ids(*tokenizer, "aé");
  EXPECT_EQ(ids, (std::vector<int32_t>{4, 5, 10 + 0xC3, 10 + 0xA9}));
  EXPECT_EQ(tokenizer->Decode(ids), "aé");
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{5, 10 + 0xC3}), "a\xC3");  // half a character
  model.mutable_pieces()->RemoveLast();
  ExpectError(ErrorKind::kData, {"/d/m.model: some of the 256 byte pieces are missing"}, [&] { Read(model); });
}

TEST(SentencePiece, FingerprintHashesWhatDecides) {
  sentencepiece::Model model = Model(kPieces);
  const uint64_t before = Read(model)->fingerprint();
  // Field 2 of trainer_spec is model_prefix, a path.
  model.mutable_trainer_spec()
      ->GetReflection()
      ->MutableUnknownFields(model.mutable_trainer_spec())
      ->AddLengthDelimited(2, "/x/y");
  EXPECT_EQ(Read(model)->fingerprint(), before);
  model.mutable_normalizer_spec()->set_add_dummy_prefix(false);
  EXPECT_NE(Read(model)->fingerprint(), before);
}

TEST(SentencePiece, NamesWhatIsDamagedOrNotSupported) {
  const auto expect = [](ErrorKind kind, const std::vector<std::string>& parts,
                         const std::function<void(sentencepiece::Model&)>& change) {
    sentencepiece::Model model = Model(kPieces);
    change(model);
    ExpectError(kind, parts, [&] { Read(model); });
  };
  expect(ErrorKind::kUsage, {"/d/m.model: trainer_spec.model_type: WORD is not supported"},
         [](auto& model) { model.mutable_trainer_spec()->set_model_type(sentencepiece::TrainerSpec::WORD); });
  expect(ErrorKind::kUsage, {"denormalizer_spec"},
         [](auto& model) { model.mutable_denormalizer_spec()->set_precompiled_charsmap("x"); });
  expect(ErrorKind::kData, {"piece 5 is empty"}, [](auto& model) { model.mutable_pieces(5)->clear_piece(); });
  expect(ErrorKind::kData, {"piece 6 ('a') is there twice"},
         [](auto& model) { model.mutable_pieces(6)->set_piece("a"); });
  expect(ErrorKind::kData, {"pieces 3 and 4 are both the unknown one"},
         [](auto& model) { model.mutable_pieces(4)->set_type(Piece::UNKNOWN); });
  expect(ErrorKind::kData, {"it has no unknown piece"},
         [](auto& model) { model.mutable_pieces(3)->set_type(Piece::CONTROL); });
  expect(ErrorKind::kData, {"piece 4 ('▁') is no byte piece"},
         [](auto& model) { model.mutable_pieces(4)->set_type(Piece::BYTE); });
  expect(ErrorKind::kData, {"the score of piece 4 ('▁') is no number"},
         [](auto& model) { model.mutable_pieces(4)->set_score(std::numeric_limits<float>::quiet_NaN()); });
  for (const std::string& rules :
       {std::string("abc"), std::string("\4\0\0\0\1\0\0\0x", 9), std::string("\xFF\xFF\xFF\xFFzz\0", 7)}) {
    expect(ErrorKind::kData, {"normalizer_spec.precompiled_charsmap is damaged"},
           [&](auto& model) { model.mutable_normalizer_spec()->set_precompiled_charsmap(rules); });
  }
  ExpectError(ErrorKind::kData, {"/d/m.model: this is no SentencePiece model"},
              [] { ReadSentencePiece("\n\xFFxy", "/d/m.model"); });
  ExpectError(ErrorKind::kData, {"/nowhere: there is no such file"}, [] { OpenSentencePiece("/nowhere"); });
}

bool HasTrainer() { return std::system("command -v spm_train >/dev/null") == 0; }

/// Sentences of made-up words, each of one to three syllables.
std::string Sentences() {
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 400; ++i) {
    for (int words = 0; words < 6; ++words) {
      for (uint32_t syllables = 1 + random() % 3; syllables > 0; --syllables) {
        text += fmt::format("{}{}{}", "bdfgk"[random() % 5], "aeiou"[random() % 5], "lmnrst"[random() % 6]);
      }
      text += ' ';
    }
    text += "schön.\n";
  }
  return text;
}

class TrainSentencePieceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasTrainer()) GTEST_SKIP() << "there is no spm_train (Debian's package sentencepiece)";
    training_.texts = {folder_.Write("a.txt", Sentences()), folder_.Write("b.txt.gz", Gzip("Zebra, ohne Zeilenende"))};
    training_.size = 120;
  }
  std::string Train(const std::string& name) {
    TrainSentencePiece(training_, folder_.Path(name));
    return folder_.Path(name);
  }

  TempFolder folder_;
  SentencePieceTraining training_;
};

TEST_F(TrainSentencePieceTest, GivesTheSameModelAgain) {
  for (const auto model : {SentencePieceTraining::Model::kBpe, SentencePieceTraining::Model::kUnigram}) {
    training_.model = model;
    const std::string first = ReadAll(Train("first.model"));
    EXPECT_EQ(first, ReadAll(Train("second.model")));
    EXPECT_THAT(first, Not(HasSubstr(folder_.Path(""))));
    const auto tokenizer = OpenSentencePiece(folder_.Path("first.model"));
    EXPECT_EQ(tokenizer->size(), 120);
    EXPECT_EQ(tokenizer->padding(), 0);
    EXPECT_EQ(tokenizer->begin(), 1);
    EXPECT_EQ(tokenizer->end(), 2);
    for (const std::string text : {"bal falsot schön.", "Zebra, Zeilenende"}) {
      const std::vector<int32_t> ids = Ids(*tokenizer, text);
      EXPECT_EQ(tokenizer->Decode(ids), text);
    }
  }
}

TEST_F(TrainSentencePieceTest, GivesTheIdsOfItsOwnProgram) {
  for (const auto model : {SentencePieceTraining::Model::kBpe, SentencePieceTraining::Model::kUnigram}) {
    training_.model = model;
    training_.byte_fallback = model == SentencePieceTraining::Model::kUnigram;
    training_.size = training_.byte_fallback ? 380 : 120;
    const std::string path = Train("m.model");
    const auto tokenizer = OpenSentencePiece(path);
    std::string text = Sentences(), expected;
    // Rewritten by NFKC, trimmed, joined, unknown, joined by a zero-width space.
    text += "  ﬁn  \u00a0 Ａb\u3000c½ \u200bx\u00e9e\u0301 東京 👍🏽\n\n \t\n...\n";
    std::string ids_text;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      std::string line;
      for (int32_t id : Ids(*tokenizer, std::string_view(text).substr(begin, end - begin)))
        line += fmt::format("{}{}", line.empty() ? "" : " ", id);
      expected += line + "\n";
      begin = end + 1;
    }
    const std::string command = fmt::format("spm_encode --model={} --output_format=id <{} >{} 2>/dev/null", path,
                                            folder_.Write("text", text), folder_.Path("ids"));
    ASSERT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(ReadAll(folder_.Path("ids")), expected);
  }
}

TEST_F(TrainSentencePieceTest, KeepsLongLines) {
  training_.texts = {folder_.Write("long", std::string(3000, 'x') + " " + std::string(3000, 'y') + " qqqq qqqq\n")};
  training_.size = 12;
  const auto tokenizer = OpenSentencePiece(Train("m.model"));
  EXPECT_THAT(Ids(*tokenizer, "q"), Not(testing::Contains(3)));
}

TEST_F(TrainSentencePieceTest, SaysWhatIsWrong) {
  training_.size = 100'000;
  ExpectError(ErrorKind::kUsage, {"spm_train made no vocabulary of 100000 pieces", "Vocabulary size"},
              [&] { Train("m.model"); });
  training_.size = 100;
  training_.texts.push_back(folder_.Write("latin1", "gut\nsch\xF6n\n"));
  ExpectError(ErrorKind::kData, {"latin1:2: there is byte 0xF6, which is no UTF-8"}, [&] { Train("m.model"); });
  training_.texts = {"/nowhere"};
  ExpectError(ErrorKind::kData, {"/nowhere: there is no such file"}, [&] { Train("m.model"); });
  training_.texts.clear();
  ExpectError(ErrorKind::kUsage, {"there is no text"}, [&] { Train("m.model"); });
  EXPECT_FALSE(std::ifstream(folder_.Path("m.model")).good());
}

}  // namespace
}  // namespace lockstep::data
