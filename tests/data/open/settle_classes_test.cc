#include "data/open/settle_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/base/error_of.h"

namespace lockstep::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

Records WithLabels(const std::vector<int32_t>& labels) {
  Records records{.format = "test", .size = labels.size()};
  records.columns.push_back(LabelColumn(labels));
  records.classes = CountClasses(labels);
  return records;
}

std::string WarningOf(const std::vector<int32_t>& labels, const ClassOptions& options) {
  Records records = WithLabels(labels);
  testing::internal::CaptureStderr();
  SettleClasses(options, "data.train", records);
  return testing::internal::GetCapturedStderr();
}

TEST(SettleClasses, NamesClassesWithoutASample) {
  EXPECT_THAT(WarningOf({0, 1, 2, 1, 200}, {.training = true}),
              AllOf(HasSubstr("data.train: labels make 201 classes, of which 197 have no sample: 3-199"),
                    HasSubstr("have 1 to 2; label 200 has 1"), HasSubstr("data.classes")));
  EXPECT_THAT(WarningOf({1, 2, 4}, {.training = true}), HasSubstr("2 have no sample: 0, 3 "));
  EXPECT_THAT(WarningOf({0, 1, 2}, {.training = true}), IsEmpty());
  EXPECT_THAT(WarningOf({0, 9}, {}), IsEmpty()) << "a test split need not have all";
}

TEST(SettleClasses, TakesTheNumberThatIsGiven) {
  Records records = WithLabels({0, 1, 2});
  SettleClasses({.classes = 10, .training = true}, "data.train", records);
  EXPECT_EQ(records.classes, 10);
  records = WithLabels({0, 200, 2});
  const Error error = ErrorOf([&] { SettleClasses({.classes = 10, .training = true}, "data.train", records); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("sample 1 (from 0) has label 200"), HasSubstr("0 to 9")));
}

TEST(SettleClasses, TellsOfAllLabelsThatAreNoClasses) {
  std::vector<std::string> broken;
  Records records = WithLabels({0, 200, 2, 10});
  SettleClasses({.classes = 10, .on_broken = [&](const Error& error) { broken.push_back(error.message()); }},
                "data.test", records);
  EXPECT_EQ(broken.size(), 2u);
}

}  // namespace
}  // namespace lockstep::data
