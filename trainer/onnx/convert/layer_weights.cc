#include "trainer/onnx/convert/layer_weights.h"

#include <algorithm>
#include <optional>

#include "trainer/onnx/convert/emit.h"

namespace lockstep::onnx {
namespace {

/// "layer1.conv1" of "layer1.conv1.weight"; nothing where it ends otherwise.
std::optional<std::string> PrefixOf(const std::string& name, const std::string& suffix) {
  const std::string end = "." + suffix;
  if (!IsGivenName(name) || name.size() <= end.size() || !name.ends_with(end)) return std::nullopt;
  return name.substr(0, name.size() - end.size());
}

/// Whether it is used under another name already than the one that is wanted.
bool IsTaken(Conversion& to, const std::string& initializer, const std::string& name) {
  const std::string& known_as = to.parameter_names()[initializer];
  return !known_as.empty() && known_as != name;
}

/// The module whose parameters these are; nothing where they have to be inputs.
std::optional<std::string> ModuleOf(Conversion& to, const OpNode& node, const std::string& kind,
                                    const std::vector<LayerWeight>& weights, const std::vector<WeightSource>& sources) {
  const bool merged = IsForInference(to.view().provenance().exporter);
  const std::string path = ModulePathOf(node.proto());
  const std::optional<std::string> prefix = PrefixOf(sources[0].initializer, weights[0].suffix);
  bool fits = prefix.has_value();
  for (size_t i = 0; i < weights.size() && fits; ++i) {
    const std::optional<std::string> other = PrefixOf(sources[i].initializer, weights[i].suffix);
    // Exporters for inference make one of biases with the same values: they belong to the first weight's module.
    fits = (other == prefix || (merged && i > 0)) &&
           (!IsTaken(to, sources[i].initializer, *prefix + "." + weights[i].suffix) || (merged && i > 0));
    // And so of norms' weights.
    const bool is_norm = to.view().Find(sources[0].initializer, 0)->rank() == 1;
    if (merged && is_norm && !path.empty() && prefix != path) fits = false;
  }
  if (fits) return prefix;
  const bool given = std::all_of(sources.begin(), sources.end(),
                                 [](const WeightSource& source) { return IsGivenName(source.initializer); });
  // Names that people gave stay, as inputs; others are the exporter's, and the module's are better.
  if (given && !merged) return std::nullopt;
  if (!merged && std::any_of(sources.begin(), sources.end(), [&](const WeightSource& source) {
        return !to.parameter_names()[source.initializer].empty();
      }))
    return std::nullopt;
  const std::string base = path.empty() ? kind : path;
  std::string free = base;
  const auto taken = [&](const LayerWeight& weight) { return to.HasStored(free + "." + weight.suffix); };
  for (int i = 1; std::any_of(weights.begin(), weights.end(), taken); ++i) free = base + "_" + std::to_string(i);
  return free;
}

/// A weight as an input of the layer.
std::string AsInput(Conversion& to, const LayerWeight& weight, const WeightSource& source) {
  const bool known = !source.initializer.empty();
  const std::string input = to.Floats(known ? source.initializer : weight.value);
  if ((known && source.turned) == weight.turned) return input;
  return Transposed(to, input, {1, 0}, input + ".transposed");
}

}  // namespace

WeightSource SourceOf(const GraphView& view, const std::string& value) {
  std::string name = value;
  bool turned = false;
  for (;;) {
    if (view.IsParameter(name)) return {name, turned};
    const NodeProto* producer = view.ProducerOf(name);
    if (producer == nullptr || producer->input_size() == 0) return {};
    const Known* known = view.Find(name, 0);
    if (producer->op_type() == "Transpose" && known != nullptr && known->rank() == 2 &&
        Attributes(*producer).Ints("perm", {1, 0}) == Dims{1, 0})
      turned = !turned;
    else if (producer->op_type() != "Identity")
      return {};
    name = producer->input(0);
  }
}

std::string TakeWeights(Conversion& to, const OpNode& node, const std::string& kind,
                        const std::vector<LayerWeight>& weights, models::Node& layer) {
  std::vector<WeightSource> sources;
  bool direct = true;
  for (const LayerWeight& weight : weights) {
    sources.push_back(SourceOf(to.view(), weight.value));
    direct = direct && !sources.back().initializer.empty();
  }
  const std::optional<std::string> module = direct ? ModuleOf(to, node, kind, weights, sources) : std::nullopt;
  if (!module) {
    for (size_t i = 0; i < weights.size(); ++i) layer.add_input(AsInput(to, weights[i], sources[i]));
    return to.NameFor(node, kind);
  }
  layer.set_parameters(*module);
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::string name = *module + "." + weights[i].suffix;
    if (IsTaken(to, sources[i].initializer, name)) ++to.counts().separated;
    to.StoreParameter(sources[i].initializer, name, sources[i].turned != weights[i].turned);
  }
  return *module;
}

bool HasPlainWeights(const Conversion& to, const OpNode& node) {
  return to.Uniform(node.input(1)) == 1.0 && (!node.Has(2) || to.Uniform(node.input(2)) == 0.0);
}

}  // namespace lockstep::onnx
