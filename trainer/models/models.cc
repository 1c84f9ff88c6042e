#include "trainer/models/models.h"

#include "base/error.h"
#include "trainer/models/blocks.h"

namespace lockstep::models {
namespace {

using graph::Builder;
using graph::ValueId;

bool UsesCrossEntropy(const ModelConfig& config, const DataShape& data) {
  if (config.loss().has_softmax_cross_entropy()) return true;
  if (config.loss().has_mean_squared_error()) return false;
  return data.classes > 0;
}

/// The width of the last layer.
int Outputs(const ModelConfig& config, const DataShape& data) {
  if (UsesCrossEntropy(config, data)) {
    RequireProbability("model.loss.softmax_cross_entropy.label_smoothing",
                       config.loss().softmax_cross_entropy().label_smoothing());
    if (data.classes > 0) return data.classes;
    Fail("model.loss", "cross entropy needs labels, and the data has none",
         "use mean_squared_error, or data with labels");
  }
  if (data.targets > 0) return data.targets;
  if (config.loss().has_mean_squared_error()) {
    Fail("model.loss", "the mean squared error needs targets, and the data has none",
         "set data.train.csv.target_columns, or use softmax_cross_entropy");
  }
  Fail("model.loss", "the data has neither labels nor targets");
}

ValueId BuildFamily(Builder& builder, ValueId x, const ModelConfig& config, int outputs) {
  switch (config.family_case()) {
    case ModelConfig::kMlp:
      return BuildMlp(builder, x, config.mlp(), outputs);
    case ModelConfig::kConvnet:
      return BuildConvNet(builder, x, config.convnet(), outputs);
    case ModelConfig::kResnet:
      return BuildResNet(builder, x, config.resnet(), outputs);
    case ModelConfig::kGpt:
      return BuildGpt(builder, x, config.gpt(), outputs);
    case ModelConfig::kLayers:
      return BuildLayerStack(builder, x, config.layers(), outputs);
    case ModelConfig::FAMILY_NOT_SET:
      break;
  }
  Fail("model", "is required", "add one of mlp, convnet, resnet, gpt and layers");
}

graph::Model BuildModel(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows) {
  const int outputs = Outputs(config, data);
  const bool tokens = data.input == "tokens";
  if (config.family_case() != ModelConfig::FAMILY_NOT_SET && tokens != config.has_gpt())
    Fail("model", fmt::format("the samples are {}, which this family can't take", data.input),
         tokens ? "use gpt" : "gpt needs text");
  Builder builder(mode, rows);
  const ValueId input = builder.Input(data.input, data.sample, tokens ? DType::kI32 : DType::kF32);
  const ValueId result = BuildFamily(builder, input, config, outputs);
  if (UsesCrossEntropy(config, data)) {
    builder.SoftmaxCrossEntropy(result, static_cast<float>(config.loss().softmax_cross_entropy().label_smoothing()));
    builder.Output("logits", result);
  } else {
    builder.MeanSquaredError(result);
    builder.Output("prediction", result);
  }
  std::vector<graph::ParameterInfo> parameters = builder.parameter_infos();
  return {builder.Finish(), std::move(parameters)};
}

}  // namespace

// Fields are checked where they are used: a model is valid when it can be built. Two samples, so that batch norm over
// images of one pixel passes: how many a lane has is not known here.
void Validate(const ModelConfig& config, const DataShape& data) { Build(config, data, graph::Mode::kTrain, 2); }

graph::Model Build(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows, int64_t places) {
  try {
    DataShape shape = data;
    shape.sample = shape.sample.Filled(places);
    return BuildModel(config, shape, mode, rows);
  } catch (const Error& error) {
    // The builder's own errors name a layer.
    if (error.kind() != ErrorKind::kUsage || error.message().starts_with("model")) throw;
    const std::string layer = error.where().empty() ? "" : error.where() + ": ";
    throw Error(ErrorKind::kUsage, fmt::format("model: {}{}", layer, error.message()), "", error.hint());
  }
}

}  // namespace lockstep::models
