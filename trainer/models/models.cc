#include "trainer/models/models.h"

#include "base/error.h"
#include "trainer/models/blocks.h"

namespace lockstep::models {
namespace {

using graph::Builder;
using graph::ValueId;

bool UsesCtc(const ModelConfig& config, const DataShape& data) {
  const bool other = config.loss().has_softmax_cross_entropy() || config.loss().has_mean_squared_error();
  if (data.speech() == (config.loss().has_ctc() || (data.speech() && !other))) return data.speech();
  Fail("model.loss", data.speech() ? "the samples are transcribed speech" : "the samples have no transcripts",
       data.speech() ? "use ctc" : "ctc needs data.train.speech");
}

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
    case ModelConfig::kRecurrent:
    case ModelConfig::kSeq2Seq:
    case ModelConfig::kDetector:
      break;  // of their own
    case ModelConfig::kLayers:
      return BuildLayerStack(builder, x, config.layers(), outputs);
    case ModelConfig::FAMILY_NOT_SET:
      break;
  }
  Fail("model", "is required", "add one of mlp, convnet, resnet, detector, gpt, recurrent, seq2seq and layers");
}

/// Which families take the samples.
void RequireFamily(const ModelConfig& config, const DataShape& data) {
  if (config.family_case() == ModelConfig::FAMILY_NOT_SET) return;
  if (!data.categories.empty() && !config.has_mlp())
    Fail("model", "the data has columns that are embedded, which this family can't take",
         "use mlp, or make them categorical: data.train.csv.categorical");
  const bool tokens = data.input == "tokens";
  const std::string samples = data.speech()  ? "recordings"
                              : data.pairs() ? "pairs of sentences"
                              : data.boxes   ? "pictures with boxes"
                                             : data.input;
  if (data.speech() == config.has_recurrent() && tokens == config.has_gpt() && data.pairs() == config.has_seq2seq() &&
      data.boxes == config.has_detector())
    return;
  Fail("model", fmt::format("the samples are {}, which this family can't take", samples),
       data.speech()  ? "use recurrent"
       : tokens       ? "use gpt"
       : data.pairs() ? "use seq2seq"
       : data.boxes   ? "use detector"
                      : "gpt needs text, recurrent speech, seq2seq parallel text, detector pictures with boxes");
}

/// Labels are smoothed, weighted and mixed in training alone: elsewhere the loss tells perplexity.
void AddCrossEntropy(Builder& builder, ValueId logits, const ModelConfig& config, graph::RowTargets rows) {
  const double smoothing = config.loss().softmax_cross_entropy().label_smoothing();
  if (builder.mode() == graph::Mode::kTrain)
    builder.SoftmaxCrossEntropy(logits, static_cast<float>(smoothing), rows);
  else
    builder.SoftmaxCrossEntropy(logits, 0);
}

/// Nobody reads them in training, where their gradient may take their memory.
void OutputLogits(Builder& builder, ValueId logits) {
  if (builder.mode() != graph::Mode::kTrain) builder.Output("logits", logits);
}

void BuildTranslation(Builder& builder, const ModelConfig& config, const DataShape& data) {
  const Shape positions{data.sample.dim(0)};
  const ValueId length = builder.Input("source_length", {}, DType::kI32);
  const ValueId source = builder.Input("source", positions, DType::kI32);
  const auto memory = BuildEncoder(builder, source, length, config.seq2seq(), data.classes);
  const ValueId tokens = builder.Input("tokens", positions, DType::kI32);
  const ValueId logits = BuildDecoder(builder, tokens, memory, length, config.seq2seq(), data.classes);
  AddCrossEntropy(builder, logits, config, data.rows);
  OutputLogits(builder, logits);
}

void BuildSpeech(Builder& builder, const ModelConfig& config, const DataShape& data) {
  const ValueId length = builder.Input("length", {}, DType::kI32);
  const ValueId features = builder.Input(data.input, data.sample, DType::kF32);
  const ValueId logits = BuildRecurrent(builder, features, length, config.recurrent(), data.classes);
  if (builder.mode() != graph::Mode::kInfer) {
    const ValueId label = builder.Input("label", {data.sample.dim(0)}, DType::kI32);
    builder.Ctc(logits, label, length, builder.Input("label_length", {}, DType::kI32));
  }
  if (builder.mode() != graph::Mode::kTrain) builder.Output("path", builder.ArgMax(logits));
  OutputLogits(builder, logits);
}

void BuildPrediction(Builder& builder, const ModelConfig& config, const DataShape& data) {
  const int outputs = Outputs(config, data);
  ValueId input = builder.Input(data.input, data.sample, data.input == "tokens" ? DType::kI32 : DType::kF32);
  if (!data.categories.empty()) input = EmbedCategories(builder, input, data.categories, config.mlp());
  const ValueId result = BuildFamily(builder, input, config, outputs);
  if (UsesCrossEntropy(config, data)) {
    AddCrossEntropy(builder, result, config, data.rows);
    OutputLogits(builder, result);
  } else {
    builder.MeanSquaredError(result);
    builder.Output("prediction", result);
  }
}

graph::Model BuildModel(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows) {
  RequireFamily(config, data);
  Builder builder(mode, rows);
  if (UsesCtc(config, data)) {
    BuildSpeech(builder, config, data);
  } else if (config.has_detector()) {
    if (config.loss().kind_case() != Loss::KIND_NOT_SET)
      Fail("model.loss", "a detector has its own losses", "remove it; detector.box_weight weighs them");
    BuildDetector(builder, builder.Input(data.input, data.sample, DType::kF32), config.detector(), data.classes);
  } else if (config.has_seq2seq()) {
    Outputs(config, data);  // checks the loss
    BuildTranslation(builder, config, data);
  } else {
    BuildPrediction(builder, config, data);
  }
  std::vector<graph::ParameterInfo> parameters = builder.parameter_infos();
  return {builder.Finish(), std::move(parameters)};
}

}  // namespace

// Fields are checked where they are used: a model is valid when it can be built. Two samples, so that batch norm over
// images of one pixel passes: how many a lane has is not known here.
void Validate(const ModelConfig& config, const DataShape& data) {
  Build(config, data, graph::Mode::kTrain, 2, /*positions=*/4);
}

graph::Model Build(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows,
                   int64_t positions) {
  try {
    DataShape shape = data;
    shape.sample = shape.sample.Filled(positions);
    return BuildModel(config, shape, mode, rows);
  } catch (const Error& error) {
    // The builder's own errors name a layer.
    if (error.kind() != ErrorKind::kUsage || error.message().starts_with("model")) throw;
    const std::string layer = error.where().empty() ? "" : error.where() + ": ";
    throw Error(ErrorKind::kUsage, fmt::format("model: {}{}", layer, error.message()), "", error.hint());
  }
}

graph::Model BuildStep(const ModelConfig& config, const DataShape& data, const graph::StepShape& shape) {
  Builder builder(graph::Mode::kInfer, shape.rows);
  const ValueId tokens = builder.Input("tokens", {shape.tokens}, DType::kI32);
  const Continuation continuation{.first = builder.Input("first", {}, DType::kI32),
                                  .length = builder.Input("length", {}, DType::kI32),
                                  .capacity = shape.capacity,
                                  .context = data.sample.dim(0)};
  ValueId logits = graph::kNoValue;
  if (config.has_gpt()) {
    logits = BuildGpt(builder, tokens, config.gpt(), data.classes, &continuation);
  } else {
    CHECK(config.has_seq2seq());
    std::map<std::string, ValueId> memory;
    for (const auto& [name, of] : MemoryShapes(config.seq2seq(), shape.source)) memory[name] = builder.State(name, of);
    const ValueId length = builder.Input("source_length", {}, DType::kI32);
    logits = BuildDecoder(builder, tokens, memory, length, config.seq2seq(), data.classes, &continuation);
  }
  if (shape.logits) builder.Output("logits", logits);
  std::vector<graph::ParameterInfo> parameters = builder.parameter_infos();
  return {builder.Finish(), std::move(parameters)};
}

graph::Model BuildEncoding(const ModelConfig& config, const DataShape& data, int64_t rows, int64_t positions) {
  Builder builder(graph::Mode::kInfer, rows);
  const ValueId length = builder.Input("source_length", {}, DType::kI32);
  const ValueId source = builder.Input("source", {positions}, DType::kI32);
  for (const auto& [name, value] : BuildEncoder(builder, source, length, config.seq2seq(), data.classes))
    builder.Output(name, value);
  std::vector<graph::ParameterInfo> parameters = builder.parameter_infos();
  return {builder.Finish(), std::move(parameters)};
}

}  // namespace lockstep::models
