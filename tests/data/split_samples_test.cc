#include "data/split_samples.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

Split Config(const std::string& text) {
  Split config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

uint64_t Count(const std::vector<SplitPart>& parts, SplitPart part) {
  return static_cast<uint64_t>(std::count(parts.begin(), parts.end(), part));
}

TEST(SplitSamples, PartsHaveTheirShares) {
  const auto parts = DealSamples(Config("test: 0.2 validation: 0.1"), {.samples = 1003});
  EXPECT_EQ(Count(parts, SplitPart::kTest), 201u);
  EXPECT_EQ(Count(parts, SplitPart::kValidation), 100u);
  EXPECT_EQ(parts, DealSamples(Config("test: 0.2 validation: 0.1"), {.samples = 1003}));
  EXPECT_NE(parts, DealSamples(Config("test: 0.2 validation: 0.1 seed: 1"), {.samples = 1003}));
  // Spread over the whole: each tenth has about its share.
  for (size_t tenth = 0; tenth < 10; ++tenth) {
    const auto begin = parts.begin() + static_cast<ptrdiff_t>(tenth * 100);
    const auto tests = std::count(begin, begin + 100, SplitPart::kTest);
    EXPECT_GT(tests, 5);
    EXPECT_LT(tests, 40);
  }
}

TEST(SplitSamples, ClassesKeepTheirShares) {
  std::vector<int32_t> labels;
  for (const auto& [label, count] : std::map<int32_t, int>{{0, 500}, {1, 101}, {2, 7}, {3, 1}})
    labels.insert(labels.end(), static_cast<size_t>(count), label);
  const auto parts = DealSamples(Config("test: 0.25"), {.samples = labels.size(), .labels = labels});
  std::map<int32_t, uint64_t> tests;
  for (size_t i = 0; i < labels.size(); ++i) tests[labels[i]] += parts[i] == SplitPart::kTest;
  EXPECT_EQ(tests[0], 125u);
  EXPECT_EQ(tests[1], 25u);
  EXPECT_GE(tests[2], 1u);
  EXPECT_EQ(tests[3], 0u);  // the only one is trained on
  EXPECT_EQ(Count(parts, SplitPart::kTest), 152u);
}

TEST(SplitSamples, GroupsStayTogether) {
  std::vector<std::string> groups;
  for (int i = 0; i < 600; ++i) groups.push_back("patient " + std::to_string(i * i % 41));
  const auto parts = DealSamples(Config("test: 0.3 group: 'patient'"), {.samples = 600, .groups = groups});
  std::map<std::string, std::set<SplitPart>> of;
  for (size_t i = 0; i < groups.size(); ++i) of[groups[i]].insert(parts[i]);
  for (const auto& [group, set] : of) EXPECT_EQ(set.size(), 1u) << group;
  EXPECT_GE(Count(parts, SplitPart::kTest), 180u);
  EXPECT_LT(Count(parts, SplitPart::kTest), 230u);
  // Who is in which part hangs on the group's name, not on the order of samples.
  std::vector<std::string> reversed(groups.rbegin(), groups.rend());
  auto other = DealSamples(Config("test: 0.3 group: 'patient'"), {.samples = 600, .groups = reversed});
  std::reverse(other.begin(), other.end());
  EXPECT_EQ(parts, other);
}

TEST(SplitSamples, NonsenseIsNamed) {
  const std::vector<int32_t> labels(10);
  for (const char* config :
       {"", "test: 1", "test: -0.1", "test: 0.6 validation: 0.4", "test: 0.2 stratified: true", "test: 0.2 group: 'x'"})
    ExpectError(ErrorKind::kUsage, {"data.split"}, [&] { DealSamples(Config(config), {.samples = 10}); });
  const std::vector<std::string> groups(10, "a");
  ExpectError(ErrorKind::kUsage, {"data.split.stratified"}, [&] {
    DealSamples(Config("test: 0.2 group: 'x' stratified: true"), {.samples = 10, .labels = labels, .groups = groups});
  });
}

}  // namespace
}  // namespace lockstep::data
