#include "data/rows/weighted_transform.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "data/rows/row_mixing.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DataConfig Config(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

/// Two features, 10 id and 10 id + 1, and the label id % 3 or the target -id.
class Rows final : public Transform {
 public:
  explicit Rows(bool regression)
      : fields_{Field{"features", DType::kF32, Shape{2}},
                regression ? Field{"target", DType::kF32, Shape{1}} : Field{"label", DType::kI32, Shape{}, -1}} {}
  std::span<const Field> fields() const override { return fields_; }
  void Apply(const Sample&, uint64_t, uint64_t id, bool, int64_t, std::span<std::byte* const> rows) const override {
    auto* features = reinterpret_cast<float*>(rows[0]);
    features[0] = static_cast<float>(10 * id);
    features[1] = static_cast<float>(10 * id + 1);
    if (fields_[1].name == "target")
      *reinterpret_cast<float*>(rows[1]) = -static_cast<float>(id);
    else
      *reinterpret_cast<int32_t*>(rows[1]) = static_cast<int32_t>(id % 3);
  }

 private:
  std::array<Field, 2> fields_;
};

/// A batch of the samples 4, 5 and 6 of epoch 2.
struct Batch {
  std::vector<float> features = std::vector<float>(6), targets = std::vector<float>(3);
  std::vector<int32_t> labels = std::vector<int32_t>(3), other_labels = std::vector<int32_t>(3);
  std::vector<float> weights = std::vector<float>(3), other_weights = std::vector<float>(3);

  Batch(const Transform& transform, bool regression, bool train) {
    const auto pointer = [](auto& values, size_t at) { return reinterpret_cast<std::byte*>(values.data() + at); };
    const auto row = [&](size_t r) {
      std::vector<std::byte*> rows{pointer(features, 2 * r), regression ? pointer(targets, r) : pointer(labels, r)};
      for (std::byte* more : {pointer(weights, r), pointer(other_labels, r), pointer(other_weights, r)})
        if (rows.size() < transform.fields().size()) rows.push_back(more);
      return rows;
    };
    for (size_t r = 0; r < 3; ++r) transform.Apply({}, 2, 4 + r, train, 0, row(r));
    const std::array<Sampler::Pick, 3> picks{{{2, 4}, {2, 5}, {2, 6}}};
    if (train) transform.MixRows(picks, row(0));
  }
};

std::unique_ptr<Transform> Make(const std::string& config, bool regression = false) {
  return WithRowWeights(std::make_unique<Rows>(regression), Config(config), 9);
}

TEST(WeightedTransformTest, AddsNothingThatIsNotAskedFor) { EXPECT_EQ(Make("")->fields().size(), 2u); }

TEST(WeightedTransformTest, RowsWeighWhatTheirClassWeighs) {
  const auto transform = Make("class_weights { values: [1, 0.25, 8] }");
  ASSERT_EQ(transform->fields().size(), 3u);
  EXPECT_EQ(transform->fields()[2].name, "weight");
  const Batch batch(*transform, false, true);
  EXPECT_THAT(batch.labels, ElementsAre(1, 2, 0));
  EXPECT_THAT(batch.weights, ElementsAre(0.25f, 8, 1));
  EXPECT_THAT(batch.features, ElementsAre(40, 41, 50, 51, 60, 61));
}

TEST(WeightedTransformTest, MixesEachRowWithTheNext) {
  const auto transform = Make("augment { mixup {} } class_weights { values: [1, 0.25, 8] }");
  ASSERT_EQ(transform->fields().size(), 5u);
  const Batch batch(*transform, false, true);
  const RowMixing mixing(Config("augment { mixup {} }").augment(), transform->fields()[0], 9);
  EXPECT_THAT(batch.labels, ElementsAre(1, 2, 0));
  EXPECT_THAT(batch.other_labels, ElementsAre(2, 0, 1));
  constexpr float kClassWeights[] = {1, 0.25, 8};
  for (size_t r = 0; r < 3; ++r) {
    const float share = mixing.Draw(2, 4 + r).share;
    const auto next = static_cast<float>(4 + (r + 1) % 3);
    EXPECT_FLOAT_EQ(batch.features[2 * r], share * static_cast<float>(10 * (4 + r)) + (1 - share) * 10 * next);
    EXPECT_FLOAT_EQ(batch.weights[r], share * kClassWeights[batch.labels[r]]);
    EXPECT_FLOAT_EQ(batch.other_weights[r], (1 - share) * kClassWeights[batch.other_labels[r]]);
  }
}

TEST(WeightedTransformTest, MixesTargetsAsFeatures) {
  const auto transform = Make("augment { mixup {} }", /*regression=*/true);
  ASSERT_EQ(transform->fields().size(), 2u);
  const Batch batch(*transform, true, true);
  for (size_t r = 0; r < 3; ++r) EXPECT_NEAR(batch.targets[r], -batch.features[2 * r] / 10, 1e-5);
  EXPECT_NE(batch.targets[0], -4);
}

TEST(WeightedTransformTest, MixesNothingInEvaluation) {
  const Batch batch(*Make("augment { mixup {} }"), false, false);
  EXPECT_THAT(batch.features, ElementsAre(40, 41, 50, 51, 60, 61));
  EXPECT_THAT(batch.weights, ElementsAre(1, 1, 1));
  EXPECT_THAT(batch.other_weights, ElementsAre(0, 0, 0));
}

TEST(WeightedTransformTest, RefusesWeightsWhereThereAreNoClasses) {
  const auto error = [](const std::string& config, bool regression) -> std::string {
    try {
      Make(config, regression);
      return "";
    } catch (const Error& error) {
      return error.where() + ": " + error.message();
    }
  };
  EXPECT_THAT(error("class_weights { balanced: true }", true), HasSubstr("data.class_weights: it is for samples with"));
  EXPECT_THAT(error("class_weights { balanced: true values: [1] }", false), HasSubstr("beside values"));
  EXPECT_THAT(error("class_weights { values: [1, -1, 2] }", false), HasSubstr("-1 is not a number of at least 0"));
}

}  // namespace
}  // namespace lockstep::data
