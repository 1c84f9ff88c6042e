#include "trainer/models/head.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "trainer/models/models.h"

namespace lockstep::models {
namespace {

using testing::UnorderedElementsAre;

Head HeadOf(const std::string& model, const DataShape& data) {
  ModelConfig config;
  CHECK(google::protobuf::TextFormat::ParseFromString(model, &config), "{}", model);
  return FindHead(Build(config, data, graph::Mode::kTrain, 4).graph);
}

const DataShape kImages{.input = "image", .sample = {8, 8, 3}, .classes = 5};
const DataShape kRows{.input = "features", .sample = {6}, .targets = 2};
const DataShape kText{.input = "tokens", .sample = {8}, .classes = 11};

TEST(Head, IsTheLastLayerOfFamilies) {
  EXPECT_THAT(HeadOf("resnet { depth: 8 }", kImages).parameters, UnorderedElementsAre("fc.weight", "fc.bias"));
  EXPECT_THAT(HeadOf("mlp { hidden: 4 }", kRows).parameters, UnorderedElementsAre("fc2.weight", "fc2.bias"));
  EXPECT_FALSE(HeadOf("mlp { hidden: 4 }", kRows).shared);
  const Head own = HeadOf("gpt { layers: 1 heads: 2 width: 4 tied: false }", kText);
  EXPECT_THAT(own.parameters, UnorderedElementsAre("lm_head.weight"));
  EXPECT_FALSE(own.shared);
}

TEST(Head, MayBeAnotherLayersToo) { EXPECT_TRUE(HeadOf("gpt { layers: 1 heads: 2 width: 4 }", kText).shared); }

TEST(Head, TakesWhatStandsBehindTheMatrix) {
  EXPECT_THAT(HeadOf("layers { layer { conv { channels: 4 } } layer { activation: RELU } "
                     "layer { name: 'out' conv { channels: 5 kernel: 1 bias: false } } "
                     "layer { name: 'norm' batch_norm {} } layer { global_average_pool {} } }",
                     kImages)
                  .parameters,
              UnorderedElementsAre("out.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"));
}

TEST(Head, IsNotToldWhereTwoBranchesMeet) {
  graph::Builder b(graph::Mode::kTrain, 4);
  const graph::ValueId x = b.Input("features", {6}, DType::kF32);
  b.MeanSquaredError(b.Add(b.Linear(x, "a", 2, true, {}), b.Linear(x, "b", 2, true, {})));
  EXPECT_TRUE(FindHead(b.Finish()).parameters.empty());
}

}  // namespace
}  // namespace lockstep::models
