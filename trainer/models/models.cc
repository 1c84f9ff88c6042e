#include "trainer/models/models.h"

#include <fmt/format.h>

#include "base/error.h"
#include "trainer/models/blocks.h"
#include "trainer/models/graph/graph_builder.h"

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
    case ModelConfig::kGraph:
      break;  // of their own
    case ModelConfig::kLayers:
      return BuildLayerStack(builder, x, config.layers(), outputs);
    case ModelConfig::FAMILY_NOT_SET:
      break;
  }
  Fail("model", "is required", "add one of mlp, convnet, resnet, detector, gpt, recurrent, seq2seq, layers and graph");
}

/// A family has one input, and one kind of answer.
void RequireNoFields(const DataShape& data) {
  for (const DataField& field : data.fields)
    if (field.answer || field.name != data.input)
      Fail("model", fmt::format("the data has the field \"{}\", which this family can't take", field.name),
           "remove it from data.train.arrays, or name it in a graph");
    else if (field.dtype != DType::kF32)
      Fail("model", fmt::format("the data's input \"{}\" are ids, which this family can't take", field.name),
           "use a graph");
}

/// Which families take the samples.
void RequireFamily(const ModelConfig& config, const DataShape& data) {
  if (config.family_case() == ModelConfig::FAMILY_NOT_SET) return;
  if (config.has_graph() && !data.pairs() && !data.boxes) return;
  RequireNoFields(data);
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
  const Shape target{data.target_positions > 0 ? data.target_positions : positions[0]};
  const ValueId tokens = builder.Input("tokens", target, DType::kI32);
  const ValueId logits = BuildDecoder(builder, tokens, memory, length, config.seq2seq(), data.classes);
  AddCrossEntropy(builder, logits, config, data.rows);
  OutputLogits(builder, logits);
}

void FinishSpeech(Builder& builder, ValueId logits, ValueId length, const DataShape& data) {
  if (builder.mode() != graph::Mode::kInfer) {
    const ValueId label = builder.Input("label", {data.sample.dim(0)}, DType::kI32);
    builder.Ctc(logits, label, length, builder.Input("label_length", {}, DType::kI32));
  }
  if (builder.mode() != graph::Mode::kTrain) builder.Output("path", builder.ArgMax(logits));
  OutputLogits(builder, logits);
}

void BuildSpeech(Builder& builder, const ModelConfig& config, const DataShape& data) {
  const ValueId length = builder.Input("length", {}, DType::kI32);
  const ValueId features = builder.Input(data.input, data.sample, DType::kF32);
  FinishSpeech(builder, BuildRecurrent(builder, features, length, config.recurrent(), data.classes), length, data);
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

/// The classes or targets of the data, which losses of the recipe's own may do without.
int OutputsOfGraph(const ModelConfig& config, const DataShape& data, graph::Mode mode) {
  const bool unknown = mode == graph::Mode::kInfer && data.classes == 0 && data.targets == 0;
  if (config.graph().loss_size() > 0 || unknown) return data.classes > 0 ? data.classes : data.targets;
  return Outputs(config, data);
}

/// That the result is, of each sample, what the data's field asks for, with `last` values of each of its elements.
void RequireResult(const Builder& builder, ValueId result, const DataShape& data, const std::string& field, int last) {
  const std::optional<DataField> of_data = data.Find(field);
  std::vector<int64_t> wanted;
  if (of_data) wanted.assign(of_data->shape.dims().begin(), of_data->shape.dims().end());
  if (field == "label") wanted.push_back(last);
  const Shape& shape = builder.shape(result);
  if (shape == Shape(wanted).Batched(builder.batch())) return;
  Fail("model.graph",
       fmt::format("the output is {} of a sample, the data ask for {}", SampleText(shape), Shape(wanted).ToString()),
       "end with node { flatten {} } and node { linear {} }, or say model.graph.output");
}

/// The outputs by name, the first first.
std::vector<std::pair<std::string, ValueId>> OutputsOf(GraphBuilder& nodes, const GraphModel& graph,
                                                       const std::string& otherwise) {
  std::vector<std::pair<std::string, ValueId>> outputs;
  for (const GraphOutput& output : graph.output())
    outputs.emplace_back(output.name(),
                         nodes.Value(output.node().empty() ? output.name() : output.node(), "output " + output.name()));
  if (outputs.empty()) outputs.emplace_back(otherwise, nodes.last());
  return outputs;
}

void BuildGraph(Builder& builder, const ModelConfig& config, const DataShape& data) {
  const GraphModel& graph = config.graph();
  const bool own_losses = graph.loss_size() > 0;
  if (own_losses && config.loss().kind_case() != Loss::KIND_NOT_SET)
    Fail("model.loss", "the graph has losses of its own", "remove one of the two");
  GraphBuilder nodes(builder, graph, data, OutputsOfGraph(config, data, builder.mode()));
  nodes.Build();
  const bool classes = UsesCrossEntropy(config, data);
  const auto outputs = OutputsOf(nodes, graph, classes ? "logits" : "prediction");
  const ValueId first = outputs[0].second;
  if (data.speech() && UsesCtc(config, data)) {
    if (builder.shape(first).dim(-1) != data.classes)
      Fail("model.graph",
           fmt::format("the output has {} letters, the data {}", builder.shape(first).dim(-1), data.classes));
    return FinishSpeech(builder, first, builder.Input("length", {}, DType::kI32), data);
  }
  if (builder.mode() == graph::Mode::kInfer) {
    // Nothing is learned: what comes out need not be the data's classes or targets.
  } else if (own_losses) {
    AddGraphLosses(nodes, builder, graph, first);
  } else if (classes) {
    RequireResult(builder, first, data, "label", data.classes);
    AddCrossEntropy(builder, first, config, data.rows);
  } else {
    RequireResult(builder, first, data, "target", data.targets);
    builder.MeanSquaredError(first);
  }
  for (const auto& [name, value] : outputs) {
    // Nobody reads logits in training, where their gradient may take their memory.
    if (name != "logits" || builder.mode() != graph::Mode::kTrain) builder.Output(name, value);
  }
}

graph::Model BuildModel(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows) {
  RequireFamily(config, data);
  Builder builder(mode, rows);
  if (config.has_graph()) {
    BuildGraph(builder, config, data);
  } else if (UsesCtc(config, data)) {
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
