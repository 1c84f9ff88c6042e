#include "trainer/onnx/provenance.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <vector>

#include "trainer/onnx/tensor.h"

namespace lockstep::onnx {
namespace {

constexpr char kSpecKind[] = "pkg.torch.export.graph_signature.InputSpec.kind";
constexpr char kNameScopes[] = "pkg.torch.onnx.name_scopes";

const std::string* Property(const google::protobuf::RepeatedPtrField<StringStringEntryProto>& properties,
                            const std::string& key) {
  for (const StringStringEntryProto& property : properties)
    if (property.key() == key) return &property.value();
  return nullptr;
}

/// Initializers, and views of them, by what they are a view of: transposes and the like compute nothing.
std::map<std::string, std::string> WeightsAndViews(const GraphProto& graph) {
  static const std::set<std::string> kViews = {"Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze",
                                               "Slice",    "Concat",    "Split",   "Cast"};
  std::map<std::string, std::string> sources;
  for (const TensorProto& tensor : graph.initializer())
    if (IsFloatType(tensor.data_type())) sources[tensor.name()] = tensor.name();
  for (const NodeProto& node : graph.node()) {
    if (!kViews.contains(node.op_type()) || node.input_size() == 0) continue;
    const auto found = sources.find(node.input(0));
    if (found == sources.end()) continue;
    for (const std::string& output : node.output()) sources[output] = found->second;
  }
  return sources;
}

/// The inputs of `op` that are weights: places from 0.
std::vector<int> WeightPlaces(const std::string& op) {
  static const std::map<std::string, std::vector<int>> kPlaces = {
      {"BatchNormalization", {1, 2}},
      {"Conv", {1, 2}},
      {"ConvTranspose", {1, 2}},
      {"GRU", {1, 2, 3}},
      {"Gather", {0}},
      {"Gemm", {1, 2}},
      {"GroupNormalization", {1, 2}},
      {"InstanceNormalization", {1, 2}},
      {"LSTM", {1, 2, 3}},
      {"LayerNormalization", {1, 2}},
      {"MatMul", {0, 1}},
      {"PRelu", {1}},
      {"RMSNormalization", {1}},
  };
  const auto found = kPlaces.find(op);
  return found == kPlaces.end() ? std::vector<int>() : found->second;
}

/// By what they are used for: files that don't say which initializers are parameters.
std::set<std::string> ParametersByUse(const GraphProto& graph) {
  const std::map<std::string, std::string> sources = WeightsAndViews(graph);
  std::set<std::string> parameters, products;
  for (const NodeProto& node : graph.node()) {
    for (const int place : WeightPlaces(node.op_type()))
      if (place < node.input_size())
        if (const auto found = sources.find(node.input(place)); found != sources.end())
          parameters.insert(found->second);
    // A bias is added to a product.
    if (node.op_type() == "Add" && node.input_size() == 2)
      for (const int place : {0, 1})
        if (const auto found = sources.find(node.input(place)); found != sources.end())
          if (products.contains(node.input(1 - place))) parameters.insert(found->second);
    if (node.op_type() == "MatMul") products.insert(node.output().begin(), node.output().end());
  }
  return parameters;
}

std::set<std::string> RunningStatistics(const GraphProto& graph) {
  std::set<std::string> statistics;
  for (const NodeProto& node : graph.node())
    if (node.op_type() == "BatchNormalization" && node.input_size() == 5)
      statistics.insert({node.input(3), node.input(4)});
  return statistics;
}

/// Rotary embeddings' frequencies are constants that older exporters can't tell from weights.
bool IsKnownBuffer(const std::string& name) { return name.ends_with("inv_freq") || name.ends_with("position_ids"); }

std::map<std::string, std::string> KindsOfInitializers(const GraphProto& graph) {
  std::map<std::string, std::string> kinds;
  for (const ValueInfoProto& info : graph.value_info())
    if (const std::string* kind = Property(info.metadata_props(), kSpecKind)) kinds[info.name()] = *kind;
  return kinds;
}

Exporter ExporterOf(const ModelProto& model, bool has_kinds) {
  if (model.producer_name() != "pytorch") return Exporter::kOther;
  const GraphProto& graph = model.graph();
  const auto any = [&](const auto& holds) { return std::any_of(graph.node().begin(), graph.node().end(), holds); };
  if (has_kinds || std::any_of(graph.node().begin(), graph.node().end(), [](const NodeProto& node) {
        return Property(node.metadata_props(), kNameScopes) != nullptr;
      })) {
    // Optimization turns constants into initializers.
    return any([](const NodeProto& node) { return node.op_type() == "Constant"; }) ||
                   std::all_of(graph.initializer().begin(), graph.initializer().end(),
                               [](const TensorProto& tensor) { return IsGivenName(tensor.name()); })
               ? Exporter::kDynamo
               : Exporter::kDynamoOptimized;
  }
  const bool trains = any([](const NodeProto& node) {
    if (node.op_type() == "Dropout") return true;
    return node.op_type() == "BatchNormalization" &&
           std::any_of(node.attribute().begin(), node.attribute().end(), [](const AttributeProto& attribute) {
             return attribute.name() == "training_mode" && attribute.i() != 0;
           });
  });
  const bool renamed = std::any_of(graph.initializer().begin(), graph.initializer().end(),
                                   [](const TensorProto& tensor) { return tensor.name().starts_with("onnx::"); });
  return trains || !renamed ? Exporter::kTorchScript : Exporter::kTorchScriptEval;
}

/// "['', 'layer1', 'layer1.0.conv1', 'conv2d_3']" -> its parts.
std::vector<std::string> ParseList(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = text.find('\''); begin != std::string::npos;) {
    const size_t end = text.find('\'', begin + 1);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(begin + 1, end - begin - 1));
    begin = text.find('\'', end + 1);
  }
  return parts;
}

/// "/layer1/layer1.0/conv1/Conv" -> "layer1.0.conv1": members of a Sequential repeat the name of what they are in.
std::string PathOfScopes(const std::string& name) {
  std::vector<std::string> scopes;
  for (size_t begin = 1; begin < name.size();) {
    const size_t end = name.find('/', begin);
    if (end == std::string::npos) break;  // the last part is the operator
    const std::string scope = name.substr(begin, end - begin);
    if (!scopes.empty() && scope.starts_with(scopes.back() + "."))
      scopes.back() = scope;
    else
      scopes.push_back(scope);
    begin = end + 1;
  }
  std::string path;
  for (const std::string& scope : scopes) path += (path.empty() ? "" : ".") + scope;
  return path;
}

}  // namespace

std::string NameOf(Exporter exporter) {
  switch (exporter) {
    case Exporter::kDynamo:
      return "PyTorch's exporter without optimization (dynamo=True, optimize=False)";
    case Exporter::kDynamoOptimized:
      return "PyTorch's exporter with its defaults, which optimize for inference";
    case Exporter::kTorchScript:
      return "PyTorch's older exporter (dynamo=False) in training mode";
    case Exporter::kTorchScriptEval:
      return "PyTorch's older exporter (dynamo=False) in inference mode";
    default:
      return "another program than PyTorch";
  }
}

bool IsForInference(Exporter exporter) {
  return exporter == Exporter::kDynamoOptimized || exporter == Exporter::kTorchScriptEval;
}

Provenance ProvenanceOf(const ModelProto& model) {
  const GraphProto& graph = model.graph();
  const std::map<std::string, std::string> kinds = KindsOfInitializers(graph);
  const std::set<std::string> by_use = ParametersByUse(graph), statistics = RunningStatistics(graph);
  Provenance provenance{.exporter = ExporterOf(model, !kinds.empty()), .parameters = {}};
  for (const TensorProto& tensor : graph.initializer()) {
    if (!IsFloatType(tensor.data_type()) || statistics.contains(tensor.name()) || IsKnownBuffer(tensor.name()))
      continue;
    const auto kind = kinds.find(tensor.name());
    const bool said = kind != kinds.end();
    const bool parameter = said ? kind->second == "PARAMETER"
                                : by_use.contains(tensor.name()) || (kinds.empty() && IsGivenName(tensor.name()) &&
                                                                     model.producer_name() == "pytorch");
    if (parameter) provenance.parameters.insert(tensor.name());
  }
  return provenance;
}

bool IsGivenName(const std::string& name) {
  if (name.empty() || name.find(':') != std::string::npos || name.find('/') != std::string::npos) return false;
  if (name.ends_with(".weight_bias") || name.ends_with("_output_0")) return false;
  const auto numbered = [&](const std::string& prefix) {
    return name.starts_with(prefix) && name.size() > prefix.size() &&
           std::all_of(name.begin() + static_cast<int64_t>(prefix.size()), name.end(),
                       [](unsigned char c) { return std::isdigit(c) != 0; });
  };
  return !numbered("") && !numbered("val_") && !numbered("const_") && !numbered("Constant_");
}

std::string ModulePathOf(const NodeProto& node) {
  if (const std::string* scopes = Property(node.metadata_props(), kNameScopes)) {
    const std::vector<std::string> parts = ParseList(*scopes);
    const std::string path = parts.size() < 2 ? "" : parts[parts.size() - 2];
    return path.starts_with("_empty_nn_module_stack") ? "" : path;
  }
  return node.name().starts_with("/") ? PathOfScopes(node.name()) : "";
}

}  // namespace lockstep::onnx
