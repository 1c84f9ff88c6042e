#include "data/open/resolve_vocabulary.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "data/open/open_dataset.h"
#include "data/text/open_tokenizer.h"
#include "data/text/tokenizers/tokenizer.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

DataConfig Resolved(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  ResolveVocabulary(config);
  return config;
}

TEST(ResolveVocabulary, KeepsTheLettersOfATextThatMayThenChange) {
  const TempFolder folder;
  const std::string file = folder.Write("text", "ba\nαb");
  for (const char* tokenizer : {"", "tokenizer { characters {} }"}) {
    const DataConfig config = Resolved(fmt::format("train {{ text {{ file: '{}' end: 0.5 }} }} {}", file, tokenizer));
    EXPECT_EQ(config.tokenizer().characters().letters(), "\nabα") << "of all of the file";
    const auto before = OpenTokenizer(config);
    folder.Write("text", "other letters");
    EXPECT_EQ(OpenTokenizer(config)->fingerprint(), before->fingerprint());
    EXPECT_EQ(OpenTokenizer(config)->size(), 4);
    folder.Write("text", "ba\nαb");
  }
}

TEST(ResolveVocabulary, NoticesAnotherVocabularyInTheFilesPlace) {
  const TempFolder folder;
  const std::string merges = folder.Write("merges", "#version: 0.2\na b\n");
  const std::string vocabulary = folder.Write("vocabulary", R"({"a": 0, "b": 1, "ab": 2})");
  const DataConfig config =
      Resolved(fmt::format("tokenizer {{ byte_level_bpe {{ vocabulary: '{}' merges: '{}' }} }}", vocabulary, merges));
  EXPECT_NE(config.tokenizer().fingerprint(), "");
  folder.Write("vocabulary", R"({ "b": 1, "a": 0, "ab": 2 })");
  EXPECT_EQ(OpenTokenizer(config)->size(), 3) << "the same vocabulary, written in another way";
  folder.Write("vocabulary", R"({"a": 1, "b": 0, "ab": 2})");
  ExpectError(ErrorKind::kData, {vocabulary + ": this is another vocabulary", "put the old file back"},
              [&] { OpenTokenizer(config); });
}

TEST(ResolveVocabulary, OfParallelTextAreBothSides) {
  const TempFolder folder;
  const DataConfig config =
      Resolved(fmt::format("train {{ parallel {{ source: '{}' target: '{}' }} }} tokenizer {{ characters {{}} }}",
                           folder.Write("source", "ab\n"), folder.Write("target", "bc\n")));
  EXPECT_EQ(config.tokenizer().characters().letters(), "abc");
}

TEST(ResolveVocabulary, LeavesWhatIsSaidAndWhatHasNone) {
  const TempFolder folder;
  const std::string train = fmt::format("train {{ text {{ file: '{}' }} }}", folder.Write("text", "ab"));
  EXPECT_EQ(Resolved(train + " tokenizer { characters { letters: 'xyz' } }").tokenizer().characters().letters(), "xyz");
  EXPECT_TRUE(Resolved(train + " tokenizer { bytes {} }").tokenizer().has_bytes());
  EXPECT_FALSE(Resolved("train { synthetic { features: 2 } }").has_tokenizer());
}

TEST(ResolveVocabulary, OfSpeechAreThoseOfTheTranscripts) {
  const TempFolder folder;
  const std::string speech =
      fmt::format("train {{ speech {{ manifest: '{}' }} }}", folder.Write("all.tsv", "a.wav\tno one\nb.wav\ttwo\n"));
  EXPECT_EQ(Resolved(speech).alphabet(), " enotw");
  EXPECT_EQ(Resolved(speech + " alphabet: 'wton e'").alphabet(), "wton e");
}

}  // namespace
}  // namespace lockstep::data
