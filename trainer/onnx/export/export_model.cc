#include "trainer/onnx/export/export_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::ValueId;

constexpr int64_t kIrVersion = 8;

void RequireEmitters(const graph::Graph& graph) {
  std::map<std::string, int> missing;
  for (const graph::Op& op : graph.ops)
    if (FindEmitter(op.kind) == nullptr) ++missing[graph::Name(op.kind)];
  if (missing.empty()) return;
  std::vector<std::string> kinds;
  for (const auto& [name, count] : missing) kinds.push_back(fmt::format("{} ({})", name, count));
  throw Error(ErrorKind::kUsage,
              fmt::format("the model has ops that can't be written as ONNX: {}", fmt::join(kinds, ", ")));
}

class ModelExport {
 public:
  ModelExport(const ModelSizes& model, const WeightsByName& weights, const ExportOptions& options)
      : graph_(model.graph), options_(options), writer_(options.half), emission_(model, weights, writer_) {}

  GraphProto Export() {
    RequireEmitters(graph_);
    for (size_t value = 0; value < graph_.values.size(); ++value)
      if (graph_.values[value].role == graph::Role::kInput) AddInput(static_cast<ValueId>(value));
    for (size_t op = 0; op < graph_.ops.size(); ++op) {
      emission_.Begin(op);
      FindEmitter(graph_.ops[op].kind)->emit(emission_);
    }
    for (const auto& [name, value] : graph_.outputs) {
      const bool left_out = std::ranges::find(options_.left_out, name) != options_.left_out.end();
      if (!left_out && !name.starts_with(graph::kNextState)) AddOutput(name, value);
    }
    return writer_.Finish();
  }

 private:
  static const Rescaling* Find(const std::vector<Rescaling>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &Rescaling::name);
    return found == all.end() ? nullptr : &*found;
  }

  static Order ChannelsFirstIf(bool wanted) { return wanted ? Order::kChannelsFirst : Order::kOurs; }

  std::vector<OpenDimension> ShapeOf(ValueId value, Order order) const {
    std::vector<OpenDimension> shape;
    for (const Size& size : emission_.sizes().Of(value))
      shape.push_back({.size = size[0], .fixed = IsFixed(size), .name = emission_.sizes().NameOf(size)});
    if (order == Order::kChannelsFirst) std::rotate(shape.begin() + 1, shape.begin() + 3, shape.end());
    return shape;
  }

  bool IsFloat(ValueId value) const { return graph_.value(value).dtype == DType::kF32; }

  std::string Cast(const std::string& tensor, TensorProto::DataType type) {
    return writer_.Node("Cast", {tensor}, {Attribute("to", type)});
  }

  /// A number for each channel, as it broadcasts. Always of 32 bits.
  std::string ByChannel(const std::vector<float>& values, Order order) {
    const auto channels = static_cast<int64_t>(values.size());
    return writer_.Floats(values, order == Order::kOurs ? Shape{channels} : Shape{channels, 1, 1}, /*wide=*/true);
  }

  void AddInput(ValueId value) {
    const std::string& name = graph_.value(value).name;
    const bool image = name == "image" && graph_.value(value).shape.rank() == 4;
    const Order order = ChannelsFirstIf(image && options_.channels_first_inputs);
    writer_.Input(name,
                  ValueInfo(name, IsFloat(value) ? TensorProto::FLOAT : TensorProto::INT64, ShapeOf(value, order)));
    writer_.Name(name);
    std::string tensor = name;
    if (const Rescaling* rescaling = Find(options_.inputs, name)) tensor = Rescaled(tensor, *rescaling, order);
    if (options_.half && IsFloat(value)) tensor = Cast(tensor, TensorProto::FLOAT16);
    emission_.Hold(value, tensor, order);
  }

  /// Without operations that change nothing.
  std::string Rescaled(std::string tensor, const Rescaling& by, Order order) {
    const auto all = [](const std::vector<float>& values, float is) {
      return std::ranges::all_of(values, [&](float value) { return value == is; });
    };
    if (by.scale != 1) tensor = writer_.Node("Mul", {tensor, writer_.Floats({&by.scale, 1}, {}, /*wide=*/true)});
    if (!all(by.mean, 0)) tensor = writer_.Node("Sub", {tensor, ByChannel(by.mean, order)});
    if (!all(by.deviation, 1)) tensor = writer_.Node("Div", {tensor, ByChannel(by.deviation, order)});
    return tensor;
  }

  void AddOutput(const std::string& name, ValueId value) {
    writer_.Name(name);
    const bool image = graph_.value(value).shape.rank() == 4;
    const Order order = ChannelsFirstIf(image && options_.channels_first_outputs);
    std::string tensor = emission_.Tensor(value, order);
    const bool floats = IsFloat(value);
    if (options_.half && floats) tensor = Cast(tensor, TensorProto::FLOAT);
    if (const Rescaling* by = Find(options_.outputs, name)) {
      if (!by->deviation.empty()) tensor = writer_.Node("Mul", {tensor, ByChannel(by->deviation, Order::kOurs)});
      if (!by->mean.empty()) tensor = writer_.Node("Add", {tensor, ByChannel(by->mean, Order::kOurs)});
    }
    writer_.Output(tensor, ValueInfo(name, floats ? TensorProto::FLOAT : TensorProto::INT64, ShapeOf(value, order)));
  }

  const graph::Graph& graph_;
  const ExportOptions& options_;
  GraphWriter writer_;
  Emission emission_;
};

}  // namespace

ModelProto ExportModel(const ModelSizes& model, const WeightsByName& weights, const ExportOptions& options) {
  ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name("lockstep");
  proto.set_producer_version(options.version);
  OperatorSetIdProto& opset = *proto.add_opset_import();
  opset.set_domain("");
  opset.set_version(kExportOpset);
  *proto.mutable_graph() = ModelExport(model, weights, options).Export();
  proto.mutable_graph()->set_name("model");
  for (const auto& [key, value] : options.metadata) {
    StringStringEntryProto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  return proto;
}

std::string Describe(const ValueInfoProto& info) {
  std::vector<std::string> dims;
  for (const TensorShapeProto::Dimension& dim : info.type().tensor_type().shape().dim())
    dims.push_back(dim.has_dim_value()   ? fmt::format("{}", dim.dim_value())
                   : dim.has_dim_param() ? dim.dim_param()
                                         : "?");
  return fmt::format("{} [{}]", info.name(), fmt::join(dims, ", "));
}

}  // namespace lockstep::onnx
