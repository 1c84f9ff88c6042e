#include "launch/answers/answer_writer.h"

#include <gtest/gtest.h>

namespace lockstep::launch {
namespace {

AnswerColumns Classes() {
  AnswerColumns columns;
  columns.id = "id";
  columns.classes = {"no", "yes, \"sure\""};
  return columns;
}

TEST(AnswerWriter, CsvQuotesWhatNeedsIt) {
  const AnswerWriter writer(AnswerFormat::kCsv, Classes());
  EXPECT_EQ(writer.Heading(), "id,prediction,probability,p(no),\"p(yes, \"\"sure\"\")\"\n");
  EXPECT_EQ(writer.Line("a,b", std::vector<float>{0.25f, 0.75f}), "\"a,b\",\"yes, \"\"sure\"\"\",0.75,0.25,0.75\n");
}

TEST(AnswerWriter, JsonIsAnObjectALine) {
  const AnswerWriter writer(AnswerFormat::kJsonLines, Classes());
  EXPECT_EQ(writer.Heading(), "");
  EXPECT_EQ(writer.Line("7", std::vector<float>{0.75f, 0.25f}),
            "{\"id\":\"7\",\"prediction\":\"no\",\"probability\":0.75,\"probabilities\":{\"no\":0.75,\"yes, "
            "\\\"sure\\\"\":0.25}}\n");
}

TEST(AnswerWriter, ValuesStandUnderTheirNames) {
  AnswerColumns columns;
  columns.targets = {"price", "area"};
  EXPECT_EQ(AnswerWriter(AnswerFormat::kCsv, columns).Heading(), "row,price,area\n");
  EXPECT_EQ(AnswerWriter(AnswerFormat::kCsv, columns).Line("1", std::vector<float>{1.5f, -2}), "1,1.5,-2\n");
  EXPECT_EQ(AnswerWriter(AnswerFormat::kText, columns).Line("1", std::vector<float>{1.5f, -2}), "1\t1.5\t-2\n");
  EXPECT_EQ(AnswerWriter(AnswerFormat::kText, Classes()).Line("1", std::vector<float>{0.75f, 0.25f}),
            "1\tno\t0.7500\n");
}

}  // namespace
}  // namespace lockstep::launch
