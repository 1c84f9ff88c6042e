#include "data/resolve_alphabets.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "data/open_dataset.h"
#include "data/text/tokenizer.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

DataConfig Resolved(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  ResolveAlphabets(config);
  return config;
}

TEST(ResolveAlphabets, KeepsTheLettersOfATextThatMayThenChange) {
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

TEST(ResolveAlphabets, OfParallelTextAreBothSides) {
  const TempFolder folder;
  const DataConfig config =
      Resolved(fmt::format("train {{ parallel {{ source: '{}' target: '{}' }} }} tokenizer {{ characters {{}} }}",
                           folder.Write("source", "ab\n"), folder.Write("target", "bc\n")));
  EXPECT_EQ(config.tokenizer().characters().letters(), "abc");
}

TEST(ResolveAlphabets, LeavesWhatIsSaidAndWhatHasNone) {
  const TempFolder folder;
  const std::string train = fmt::format("train {{ text {{ file: '{}' }} }}", folder.Write("text", "ab"));
  EXPECT_EQ(Resolved(train + " tokenizer { characters { letters: 'xyz' } }").tokenizer().characters().letters(), "xyz");
  EXPECT_TRUE(Resolved(train + " tokenizer { bytes {} }").tokenizer().has_bytes());
  EXPECT_FALSE(Resolved("train { synthetic { features: 2 } }").has_tokenizer());
}

TEST(ResolveAlphabets, OfSpeechAreThoseOfTheTranscripts) {
  const TempFolder folder;
  const std::string speech =
      fmt::format("train {{ speech {{ manifest: '{}' }} }}", folder.Write("all.tsv", "a.wav\tno one\nb.wav\ttwo\n"));
  EXPECT_EQ(Resolved(speech).alphabet(), " enotw");
  EXPECT_EQ(Resolved(speech + " alphabet: 'wton e'").alphabet(), "wton e");
}

}  // namespace
}  // namespace lockstep::data
