#include "launch/answers/text_writer.h"

#include <gtest/gtest.h>

namespace lockstep::launch {
namespace {

TEST(TextWriter, TranscriptsStandBesideTheirFiles) {
  const TextSource file{.file = "", .input = "a,b.wav"};
  const TextWriter csv(AnswerFormat::kCsv, /*sentences=*/false, /*names_input=*/true);
  EXPECT_EQ(csv.Heading(), "input,text,score\n");
  EXPECT_EQ(csv.Line(file, "one two", -0.5), "\"a,b.wav\",one two,-0.5\n");
  const TextWriter json(AnswerFormat::kJsonLines, false, true);
  EXPECT_EQ(json.Heading(), "");
  EXPECT_EQ(json.Line(file, "one two", -0.5), "{\"input\":\"a,b.wav\",\"text\":\"one two\",\"score\":-0.5}\n");
}

TEST(TextWriter, TranslationsStandBesideTheirSentences) {
  const TextSource sentence{"news.de", 7, "Er sagt: \"Ja\""};
  const TextWriter csv(AnswerFormat::kCsv, /*sentences=*/true, false);
  EXPECT_EQ(csv.Heading(), "file,line,input,text,score\n");
  EXPECT_EQ(csv.Line(sentence, "He says, yes", -1.25), "news.de,7,\"Er sagt: \"\"Ja\"\"\",\"He says, yes\",-1.25\n");
  EXPECT_EQ(
      TextWriter(AnswerFormat::kJsonLines, true, false).Line(sentence, "He says", -1.25),
      "{\"file\":\"news.de\",\"line\":7,\"input\":\"Er sagt: \\\"Ja\\\"\",\"text\":\"He says\",\"score\":-1.25}\n");
}

TEST(TextWriter, TextIsTheTextAloneUnlessInputsAreToBeTold) {
  const TextSource file{.file = "", .input = "a.wav"};
  const TextWriter named(AnswerFormat::kText, false, /*names_input=*/true);
  EXPECT_EQ(named.Heading(), "");
  EXPECT_EQ(named.Line(file, "one", -0.5), "a.wav\tone\n");
  EXPECT_EQ(TextWriter(AnswerFormat::kText, false, false).Line(file, "one", -0.5), "one\n");
}

}  // namespace
}  // namespace lockstep::launch
