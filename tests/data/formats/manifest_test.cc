#include "data/formats/manifest.h"

#include <gtest/gtest.h>

#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

std::vector<ManifestEntry> Read(const std::string& text) {
  return ReadManifest(Bytes(text), {"lists/m", "data.train.speech.manifest"});
}

std::string Text(const std::vector<ManifestEntry>& entries) {
  std::string text;
  for (const ManifestEntry& entry : entries)
    text += fmt::format("{}|{}|{}|{};", entry.line, entry.path, entry.transcript, entry.speaker);
  return text;
}

TEST(Manifest, ReadsTabs) {
  EXPECT_EQ(Text(Read("a.wav\tone two\nb.flac\tdrei\tanna\n")), "1|a.wav|one two|;2|b.flac|drei|anna;");
  EXPECT_EQ(Text(Read("\xEF\xBB\xBF\n  \na b.wav\t\xC3\xBC ber\tx\r\n\nlast.wav\t")),
            "3|a b.wav|\xC3\xBC ber|x;5|last.wav||;")
      << "blank lines, carriage returns, a byte order mark and an empty transcript";
}

TEST(Manifest, ReadsJson) {
  EXPECT_EQ(Text(Read("{\"audio\": \"a.wav\", \"text\": \"one\"}\n\n"
                      "{\"audio_filepath\":\"b.wav\",\"transcript\":\"zw\\u00f6lf\",\"speaker\":\"eva\",\"duration\":2."
                      "5,\"offset\":0}\r\n"
                      "{\"path\": \"c.wav\", \"text\": \"\", \"speaker\": null}")),
            "1|a.wav|one|;3|b.wav|zw\xC3\xB6lf|eva;4|c.wav||;");
}

TEST(Manifest, NamesTheLineThatIsWrong) {
  const auto expect = [](const std::string& text, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { Read(text); });
  };
  expect("", {"lists/m: the manifest is empty"});
  expect("\n \r\n", {"lists/m: the manifest is empty"});
  expect("a.wav\tone\nb.wav two\n", {"lists/m:2: there is no tab"});
  expect("a.wav\tone\tanna\tfour\n", {"lists/m:1: there are 4 columns"});
  expect("a.wav\t\tone\tanna\n", {"lists/m:1: there are 4 columns"});
  expect("\tone\n", {"lists/m:1: the path is empty"});
  expect(
      "a.wav\ton\x01"
      "e\n",
      {"lists/m:1: the transcript has the control character U+0001"});
  expect(
      "a.wav\ton\xC2\x85"
      "e\n",
      {"lists/m:1: the transcript has the control character U+0085"});
  expect(std::string("a\0.wav\tone\n", 11), {"lists/m:1: the path has the control character U+0000"});
  expect("a.wav\tone\n\nb.wav\t\xFFone\n", {"lists/m:3: the transcript has byte 0xFF, which is no UTF-8"});
  expect("{\"audio\": \"a.wav\", \"text\": \"one\"}\nb.wav\ttwo\n", {"lists/m:2: the line is no JSON object"});
  expect("{\"audio\": \"a.wav\"}", {"lists/m:1: there is no \"text\""});
  expect("{\"text\": \"one\"}", {"lists/m:1: there is no \"audio\""});
  expect("{\"audio\": \"a.wav\", \"path\": \"b.wav\", \"text\": \"one\"}", {"lists/m:1: \"path\" is not the only key"});
  expect("{\"audio\": 3, \"text\": \"one\"}", {"lists/m:1: \"audio\" is no text"});
  expect("{\"audio\": \"a.wav\", \"text\": \"one\\ntwo\"}",
         {"lists/m:1: the transcript has the control character U+000A"});
  expect("{\"audio\": \"a.wav\", \"text\": \"one\", \"offset\": 1.5}", {"lists/m:1: \"offset\""});
  expect("{\"audio\": \"a.wav\"", {"lists/m:1: the line is no JSON object"});
}

}  // namespace
}  // namespace lockstep::data
