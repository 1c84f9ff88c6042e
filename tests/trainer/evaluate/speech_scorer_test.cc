// Transcripts are read greedily, up to each recording's own length, and counted against what was said.
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "trainer/evaluate/scorer.h"

namespace lockstep::evaluate {
namespace {

/// Letters " ab" as classes 1 to 3; class 0 is the blank.
class Said final : public data::Dataset {
 public:
  explicit Said(std::vector<std::string> transcripts) : transcripts_(std::move(transcripts)) {}
  uint64_t size() const override { return transcripts_.size(); }
  std::span<const data::Field> fields() const override { return {}; }
  uint64_t fingerprint() const override { return 0; }
  void Read(uint64_t, uint64_t, data::Sample&) const override {}
  const data::SourceTraits& traits() const override { return traits_; }
  data::SampleText Describe(uint64_t, uint64_t id) const override { return {.reference = transcripts_[id]}; }

 private:
  const std::vector<std::string> transcripts_;
  const data::SourceTraits traits_{.text_of = [](std::span<const int32_t> labels) {
    std::string text;
    for (const int32_t label : labels) text += " ab"[label - 1];
    return text;
  }};
};

TEST(SpeechScorer, ReadsEachRowToItsLengthAndCountsItsErrors) {
  const auto scorer = MakeSpeechScorer(std::make_shared<Said>(std::vector<std::string>{"b a b", "ab", "ab"}));
  // The last row stands for no sample.
  std::array<int32_t, 4> lengths = {5, 3, 3, 4};
  const std::array<int32_t, 4 * 6> path = {2, 2, 0, 3, 3, 2,   // "ab", and what is behind its end
                                           2, 0, 2, 3, 3, 3,   // "aa"
                                           3, 1, 2, 0, 0, 0,   // "b a"
                                           3, 3, 3, 3, 3, 3};  // not read
  data::LaneBatch block;
  block.samples.picks = {{0, 2}, {0, 1}, {0, 0}};
  block.fields = {data::Field{"length", DType::kI32, Shape{4}}};
  block.data = {reinterpret_cast<std::byte*>(lengths.data())};
  Scores scores;
  const auto output = [&](const std::string& name) {
    EXPECT_EQ(name, "path");
    return std::as_bytes(std::span(path));
  };
  scorer->Score(0, block, output, scores);
  scorer->Score(1, block, output, scores);  // blocks add up

  std::map<std::string, double> result;
  for (const metrics::Metric& metric : scorer->Result(scores)) result[metric.name] = metric.value;
  EXPECT_DOUBLE_EQ(result.at("wer"), (0 + 1 + 1) / double{1 + 1 + 3});
  EXPECT_DOUBLE_EQ(result.at("cer"), (0 + 1 + 2) / double{2 + 2 + 5});
  EXPECT_DOUBLE_EQ(result.at("exact"), 1 / 3.0);
}

}  // namespace
}  // namespace lockstep::evaluate
