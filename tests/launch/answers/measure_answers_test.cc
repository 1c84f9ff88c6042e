// The worst answers are those of the measure that is named, and say what they were given.
#include "launch/answers/measure_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/data.pb.h"
#include "data/memory_dataset.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;

template <typename T>
data::Column ColumnOf(data::Field field, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {std::move(field), {bytes.begin(), bytes.end()}};
}

std::vector<uint64_t> SamplesOf(const records::SplitRecord& record) {
  std::vector<uint64_t> samples;
  for (const records::WorstAnswer& worst : record.worst) samples.push_back(worst.sample);
  return samples;
}

TEST(MeasureAnswers, WorstClassesAreWrongOnesByTheTrueClassesProbability) {
  data::Records table{.format = "test", .size = 4};
  auto columns = std::make_shared<data::Table>();
  columns->add_columns()->set_name("petal");
  data::TableColumn& soil = *columns->add_columns();
  soil.set_name("soil");
  soil.add_values("dry");
  soil.add_values("wet");
  data::TableColumn& height = *columns->add_columns();
  height.set_name("height");
  height.set_flag(true);
  table.table = columns;
  table.names = {"a", "b", "c", "d"};
  table.columns.push_back(ColumnOf<float>({"features", DType::kF32, Shape{5}}, {1, 1, 0, 5, 0,  //
                                                                                2, 0, 1, 0, 1,  //
                                                                                3, 0, 0, 7, 0,  //
                                                                                4, 1, 0, 8, 0}));
  table.columns.push_back(ColumnOf<int32_t>({"label", DType::kI32, Shape{}}, {0, 1, 0, 1}));
  const data::MemoryDataset samples(std::move(table), {});
  records::SplitRecord record{.split = "test", .classes = {"no", "yes"}};
  // The first is right; the third is the worst of the others, the fourth right with little conviction.
  MeasureClasses(samples, std::vector<float>{0.9f, 0.1f, 0.75f, 0.25f, 0.125f, 0.875f, 0.4f, 0.6f}, record);
  EXPECT_EQ(record.worst_by, "loss");
  EXPECT_THAT(SamplesOf(record), ElementsAre(2, 1));
  const records::WorstAnswer& worst = record.worst[0];
  EXPECT_EQ(worst.name, "c");
  EXPECT_EQ(worst.text, "petal: 3, soil: another word, height: 7");
  EXPECT_EQ(record.worst[1].text, "petal: 2, soil: wet, height: missing");
  EXPECT_EQ(worst.expected, "no");
  EXPECT_EQ(worst.answer, "yes");
  EXPECT_EQ(worst.probability, 0.875);
  EXPECT_DOUBLE_EQ(*worst.loss, -std::log(0.125));
  EXPECT_EQ(record.classification->accuracy, 0.5);
}

TEST(MeasureAnswers, PicturesAreShownAndFewerOfThem) {
  constexpr size_t kSamples = 30;
  data::Records images{.format = "test", .size = kSamples};
  images.columns.push_back(
      ColumnOf<uint8_t>({"image", DType::kU8, Shape{2, 2, 1}}, std::vector<uint8_t>(4 * kSamples, 9)));
  images.columns.push_back(ColumnOf<int32_t>({"label", DType::kI32, Shape{}}, std::vector<int32_t>(kSamples, 0)));
  const data::MemoryDataset samples(std::move(images), {});
  std::vector<float> wrong;
  for (size_t i = 0; i < kSamples; ++i) wrong.insert(wrong.end(), {0.25f, 0.75f});
  records::SplitRecord record{.split = "test", .classes = {"no", "yes"}};
  MeasureClasses(samples, wrong, record);
  EXPECT_EQ(record.worst.size(), 12u);
  EXPECT_EQ(record.worst[0].sample, 0u) << "of equal losses the first";
  EXPECT_EQ(record.worst[0].image.substr(0, 11), "iVBORw0KGgo") << "a PNG";
}

TEST(MeasureAnswers, WorstValuesAreThoseOfTheLargestSquaredError) {
  data::Records rows{.format = "test", .size = 3};
  rows.columns.push_back(ColumnOf<float>({"features", DType::kF32, Shape{1}}, {1, 2, 3}));
  rows.columns.push_back(ColumnOf<float>({"target", DType::kF32, Shape{2}}, {10, 1, 20, 2, 30, 3}));
  const data::MemoryDataset samples(std::move(rows), {});
  records::SplitRecord record{.split = "test", .targets = {"x", "y"}};
  MeasureValues(samples, std::vector<float>{11, 1, 20, 6, 30, 3}, record);
  EXPECT_EQ(record.worst_by, "squared error");
  EXPECT_THAT(SamplesOf(record), ElementsAre(1, 0, 2));
  EXPECT_EQ(record.worst[0].expected, "20, 2");
  EXPECT_EQ(record.worst[0].answer, "20, 6");
  EXPECT_EQ(record.worst[0].loss, 8);
  EXPECT_EQ(record.worst[0].text, "column 0: 2");
}

TEST(MeasureAnswers, NothingIsWorseThanNoNumber) {
  data::Records rows{.format = "test", .size = 3};
  rows.columns.push_back(ColumnOf<float>({"features", DType::kF32, Shape{1}}, {1, 2, 3}));
  rows.columns.push_back(ColumnOf<float>({"target", DType::kF32, Shape{1}}, {10, 20, 30}));
  const data::MemoryDataset samples(std::move(rows), {});
  records::SplitRecord record{.split = "test", .targets = {"x"}};
  MeasureValues(samples, std::vector<float>{11, 25, std::nanf("")}, record);
  EXPECT_THAT(SamplesOf(record), ElementsAre(2, 1, 0));
}

class Said final : public data::Dataset {
 public:
  explicit Said(const char* field) : fields_{{field, DType::kI32, Shape{-1}}} {}
  uint64_t size() const override { return 4; }
  std::span<const data::Field> fields() const override { return fields_; }
  const data::SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return 0; }
  data::SampleText Describe(uint64_t, uint64_t id) const override {
    static const char* const kReferences[] = {"one two", "three", "", "four"};
    return {.line = "all.tsv:" + std::to_string(id + 1), .reference = kReferences[id]};
  }
  void Read(uint64_t, uint64_t id, data::Sample& sample) const override {
    EXPECT_EQ(fields_[0].name, "source") << "recordings need not be read";
    sample.tensors.resize(1);
    const auto token = static_cast<int32_t>(id);
    sample.tensors[0].Assign(std::span(&token, 1));
  }

 private:
  const std::vector<data::Field> fields_;
  const data::SourceTraits traits_{
      .text_of = [](std::span<const int32_t> labels) { return "sentence " + std::to_string(labels[0]); }};
};

TEST(MeasureAnswers, WorstTranscriptsHaveTheMostWrongCharacters) {
  records::SplitRecord record{.split = "test"};
  MeasureTexts(Said("audio"), metrics::Task::kSpeech, std::vector<std::string>{"one tow", "tree", "x", "four"}, record);
  EXPECT_EQ(record.worst_by, "cer");
  EXPECT_THAT(SamplesOf(record), ElementsAre(2, 0, 1)) << "and none that is right";
  EXPECT_EQ(record.worst[1].name, "all.tsv:1");
  EXPECT_EQ(record.worst[1].expected, "one two");
  EXPECT_EQ(record.worst[1].answer, "one tow");
  EXPECT_DOUBLE_EQ(*record.worst[1].score, 2 / 7.0);
  EXPECT_DOUBLE_EQ(*record.worst[0].score, 1);
}

TEST(MeasureAnswers, WorstTranslationsHaveTheLeastChrf) {
  records::SplitRecord record{.split = "test"};
  MeasureTexts(Said("source"), metrics::Task::kTranslation,
               std::vector<std::string>{"one two three", "nothing", "", "four"}, record);
  EXPECT_EQ(record.worst_by, "chrf");
  ASSERT_THAT(SamplesOf(record), ElementsAre(1, 0)) << "and none that is right";
  EXPECT_EQ(record.worst[0].text, "sentence 1");
  EXPECT_EQ(record.worst[0].answer, "nothing");
  EXPECT_LT(*record.worst[0].score, 20);
}

}  // namespace
}  // namespace lockstep::launch
