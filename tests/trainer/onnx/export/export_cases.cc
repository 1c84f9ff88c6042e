#include "tests/trainer/onnx/export/export_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/philox.h"
#include "base/threads.h"
#include "tests/trainer/models/model_world.h"
#include "trainer/infer/trained_model.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/onnx/export/build_sizes.h"
#include "trainer/onnx/export/write_model.h"

namespace lockstep::onnx {
namespace {

models::DataShape Tokens(int64_t block, int vocabulary) {
  return {.input = "tokens", .sample = {block}, .classes = vocabulary};
}
models::DataShape Speech(int64_t channels, int letters) {
  return {.input = "features", .sample = {-1, channels}, .classes = letters};
}
models::DataShape Sentences(int words) { return {.input = "source", .sample = {-1}, .classes = words}; }

/// What the data's field holds, drawn from its own stream.
CaseTensor Draw(const graph::Value& value, uint64_t field, int classes) {
  CaseTensor tensor{.shape = value.shape, .integers = value.dtype == DType::kI32};
  const RandomStream stream{7, 0, 3, field};
  for (int64_t i = 0; i < value.shape.size(); ++i) {
    const float drawn = stream.Uniform(static_cast<uint32_t>(i));
    if (!tensor.integers) {
      tensor.floats.push_back(2 * drawn - 1);
    } else if (value.name.ends_with("length")) {  // the first row is whole
      tensor.numbers.push_back(i == 0 ? -1 : 1 + static_cast<int32_t>(drawn * 3));
    } else {
      const int32_t least = value.name == "categories" ? -1 : 0;
      tensor.numbers.push_back(least + static_cast<int32_t>(drawn * static_cast<float>(classes - least)));
    }
  }
  return tensor;
}

TensorProto ToProto(const std::string& name, const CaseTensor& tensor) {
  TensorProto proto;
  proto.set_name(name);
  for (const int64_t dim : tensor.shape.dims()) proto.add_dims(dim);
  proto.set_data_type(tensor.integers ? TensorProto::INT64 : TensorProto::FLOAT);
  const std::vector<int64_t> numbers(tensor.numbers.begin(), tensor.numbers.end());
  if (tensor.integers)
    proto.set_raw_data(numbers.data(), numbers.size() * sizeof(int64_t));
  else
    proto.set_raw_data(tensor.floats.data(), tensor.floats.size() * sizeof(float));
  return proto;
}

}  // namespace

std::vector<ExportCase> FamilyCases() {
  using models::Boxes, models::Embedded, models::Features, models::Images;
  const std::string small_resnet = "resnet { blocks: [1, 1] widths: [4, 8] ";
  return {
      {"mlp", "mlp { hidden: [8, 6] }", Features(5, 3)},
      {"mlp_regression", "mlp { hidden: 8 activation: TANH }", Features(5, 0, 2)},
      {"mlp_images", "mlp { hidden: 8 activation: GELU }", Images(4, 5, 3)},
      {"mlp_categories", "mlp { hidden: 8 }", Embedded({3, 4})},
      {"convnet",
       "convnet { stages { channels: 4 pool: 2 batch_norm: true } stages { channels: 6 kernel: 5 stride: 2 } hidden: 7 "
       "}",
       Images(12, 10, 3)},
      {"convnet_channels_first", "convnet { stages { channels: 4 pool: 2 } activation: SILU }", Images(8, 8, 3), 2, 7,
       5, true},
      {"resnet", small_resnet + "stem: POOL }", Images(16, 16, 3)},
      {"resnet_bottlenecks", "resnet { depth: 50 widths: [2, 2, 4, 4] stem: IMAGENET }", Images(64, 64, 3)},
      {"resnet_padded_identity", small_resnet + "shortcut: PADDED_IDENTITY stem: HALVES }", Images(13, 16, 3)},
      {"layers",
       "layers { layer { conv { channels: 6 groups: 3 } } layer { residual { layer { conv { channels: 6 } } "
       "layer { activation: GELU_TANH } } } layer { average_pool { kernel: 3 stride: 2 padding: 1 } } "
       "layer { global_average_pool {} } layer { layer_norm {} } layer { linear {} } }",
       Images(7, 9, 3)},
      {"layers_of_features",
       "layers { layer { linear { features: 8 } } layer { batch_norm {} } layer { activation: SIGMOID } "
       "layer { linear {} } }",
       Features(5, 3)},
      {"gpt", "gpt { layers: 2 heads: 2 width: 8 }", Tokens(24, 11)},
      {"gpt_short", "gpt { layers: 1 heads: 2 width: 8 bias: false tied: false }", Tokens(7, 11)},
      {"gpt_rotary",
       "gpt { layers: 2 heads: 4 kv_heads: 2 width: 16 positions: ROTARY norm: RMS feed_forward: SWIGLU bias: false }",
       Tokens(24, 11), 3},
      {"gpt_rotary_one_head_each", "gpt { layers: 1 heads: 2 width: 8 positions: ROTARY feed_forward: GELU_TANH }",
       Tokens(24, 11)},
      {"lstm", "recurrent { layers: 2 hidden: 6 bidirectional: true }", Speech(4, 9), 3},
      {"gru", "recurrent { layers: 2 hidden: 6 bidirectional: true cell: GRU }", Speech(4, 9), 3},
      {"translation", "seq2seq { layers: 2 width: 8 heads: 2 }", Sentences(13), 3},
      {"translation_lstm", "seq2seq { layers: 2 width: 8 kind: LSTM }", Sentences(13), 3},
      {"translation_gru", "seq2seq { layers: 2 width: 8 kind: GRU }", Sentences(13), 3},
      {"detector", "detector { neck: 8 }", Boxes(32, 48, 3)},
      {"fcos",
       "detector { fcos { groups: 2 frozen_batch_norm: true } neck: 8 head: 1 "
       "backbone { resnet { depth: 18 widths: [4, 4, 8, 8] } } }",
       Boxes(64, 96, 3)},
  };
}

std::vector<ExportCase> ExportCases() {
  std::vector<ExportCase> cases = FamilyCases();
  for (ExportCase& one : GraphCases()) cases.push_back(std::move(one));
  return cases;
}

CaseTensor ExportCase::InOrder(const CaseTensor& tensor) const {
  if (!channels_first || tensor.shape.rank() != 4) return tensor;
  const int64_t n = tensor.shape[0], cells = tensor.shape[1] * tensor.shape[2], c = tensor.shape[3];
  CaseTensor result = tensor;
  result.shape = {n, c, tensor.shape[1], tensor.shape[2]};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t cell = 0; cell < cells; ++cell)
      for (int64_t channel = 0; channel < c; ++channel)
        result.floats[static_cast<size_t>((i * c + channel) * cells + cell)] =
            tensor.floats[static_cast<size_t>((i * cells + cell) * c + channel)];
  return result;
}

std::ostream& operator<<(std::ostream& out, const ExportCase& one) { return out << one.name; }

CaseModel::CaseModel(const ExportCase& one) : case_(one), config_(models::Parse(one.model)) {
  PrepareComputeThread(1, "");
  models::DataShape data = one.data;
  // A gpt's table of positions is as long as the block, whatever is asked.
  if (data.pairs()) data.target_positions = one.target;
  const graph::Model model = models::Build(config_, data, graph::Mode::kInfer, one.rows, one.source);
  DrawWeights(model);
  DrawInputs(model.graph);
  Run(model.graph);
}

/// Like a trained model's: norms scale by about 1, variances are positive.
void CaseModel::DrawWeights(const graph::Model& model) {
  uint64_t number = 0;
  for (const graph::ParameterInfo& info : model.parameters) {
    const graph::Value& value = model.graph.value(info.value);
    const RandomStream stream{1, 0, 1, ++number};
    const bool scale = value.shape.rank() == 1 && !value.name.ends_with("bias") && !value.name.ends_with("mean");
    const int64_t fan_in = value.shape.size() / value.shape[0];
    const float reach = value.shape.rank() > 1 ? 1.5f / std::sqrt(static_cast<float>(fan_in)) : 0.3f;
    std::vector<float>& weights = weights_[value.name];
    for (int64_t i = 0; i < value.shape.size(); ++i)
      weights.push_back((scale ? 1.0f : 0.0f) + reach * (2 * stream.Uniform(static_cast<uint32_t>(i)) - 1));
  }
}

void CaseModel::DrawInputs(const graph::Graph& graph) {
  uint64_t field = 0;
  for (const graph::Value& value : graph.values) {
    if (value.role != graph::Role::kInput) continue;
    CaseTensor tensor = Draw(value, ++field, case_.data.categories.empty() ? case_.data.classes : 7);
    std::ranges::replace(tensor.numbers, -1, value.name.ends_with("length") ? static_cast<int32_t>(case_.source) : -1);
    inputs_[value.name] = std::move(tensor);
  }
}

void CaseModel::Run(const graph::Graph& graph) {
  const auto fill = [&](const engine::ParameterLayout& layout, std::span<float> arena) {
    for (const engine::ArenaEntry& entry : layout.entries())
      std::ranges::copy(weights_.at(entry.name), arena.begin() + entry.offset);
  };
  const infer::TrainedModel trained({[&](int64_t, int64_t) {
                                       return graph::Model{graph, {}};
                                     },
                                     {}},
                                    MakeOneDnnBackend({}), fill);
  infer::InferenceProgram program(graph, trained.weights());
  for (const auto& [name, tensor] : inputs_) {
    if (tensor.integers)
      std::ranges::copy(tensor.numbers, program.Input<int32_t>(name).begin());
    else
      std::ranges::copy(tensor.floats, program.Input<float>(name).begin());
  }
  program.Run();
  for (const auto& [name, value] : graph.outputs) {
    if (name == "path") continue;
    const std::span<const float> values = program.Output<float>(name);
    outputs_[name] = {.shape = graph.value(value).shape, .floats = {values.begin(), values.end()}};
  }
}

ModelProto CaseModel::Export(ExportOptions options) const {
  options.left_out = {"path"};
  options.channels_first_inputs = case_.channels_first;
  options.channels_first_outputs = case_.channels_first && !config_.graph().channels_first();
  return ExportModel(
      BuildSizes(config_, case_.data),
      [&](const std::string& name) { return std::span<const float>(weights_.at(name)); }, options);
}

namespace {

void WriteTensors(const std::string& stem, const google::protobuf::RepeatedPtrField<ValueInfoProto>& ends,
                  const std::map<std::string, CaseTensor>& tensors, const ExportCase& one) {
  for (int i = 0; i < ends.size(); ++i) {
    const TensorProto proto = ToProto(ends[i].name(), one.InOrder(tensors.at(ends[i].name())));
    WriteFileAtomically(FileSystem::Real(), fmt::format("{}_{}.pb", stem, i), proto.SerializeAsString());
  }
}

}  // namespace

void WriteCases(const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  for (const ExportCase& one : ExportCases()) {
    const CaseModel model(one);
    for (const bool half : {false, true}) {
      if (half && one.jumps) continue;
      const std::string place = fmt::format("{}/{}{}", folder, one.name, half ? ".half" : "");
      files.CreateFolders(place + "/test_data_set_0");
      const ModelProto exported = model.Export({.half = half});
      WriteTensors(place + "/test_data_set_0/input", exported.graph().input(), model.inputs(), one);
      WriteTensors(place + "/test_data_set_0/output", exported.graph().output(), model.outputs(), one);
      WriteModel(files, place + "/model.onnx", exported);
    }
  }
}

}  // namespace lockstep::onnx
