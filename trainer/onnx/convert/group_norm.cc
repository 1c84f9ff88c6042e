// Group and instance norms, and what PyTorch's exporter writes for a group norm: an instance norm of the groups.
#include <fmt/format.h>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/layer_weights.h"

namespace lockstep::onnx {
namespace {

/// The one operator that reads `value`; nullptr: there are several, or another.
const NodeProto* OnlyReader(const GraphView& view, const std::string& value, const std::string& op) {
  const NodeProto* only = nullptr;
  for (const NodeProto* reader : view.ReadersOf(value)) {
    if (view.IsConstant(reader->output(0))) continue;  // takes its shape alone
    if (only != nullptr) return nullptr;
    only = reader;
  }
  return only != nullptr && only->op_type() == op && !view.IsOutput(value) ? only : nullptr;
}

/// The parameter [channels] that `value` [channels, 1, 1] is a view of; empty: it is none.
std::string ChannelsOf(const GraphView& view, const std::string& value, int64_t channels, size_t spatial) {
  const Known* known = view.Find(value, 0);
  Dims wanted(spatial, 1);
  wanted.insert(wanted.begin(), channels);
  Dims longer = wanted;
  longer.insert(longer.begin(), 1);
  if (known == nullptr || (known->dims != wanted && known->dims != longer)) return "";
  std::string name = value;
  for (const NodeProto* node = view.ProducerOf(name); node != nullptr; node = view.ProducerOf(name)) {
    const std::string& op = node->op_type();
    if (op != "Unsqueeze" && op != "Reshape" && op != "Identity") return "";
    name = node->input(0);
  }
  return view.IsParameter(name) && view.Find(name, 0)->dims == Dims{channels} ? name : "";
}

/// The other operand of a product or sum with `value`.
const std::string& Other(const NodeProto& node, const std::string& value) {
  return node.input(node.input(0) == value ? 1 : 0);
}

/// x [n, c, h, w], reshaped to [n, groups, rest], normalised, reshaped back, times weight [c, 1, 1], plus bias [c, 1,
/// 1].
struct WrittenOut {
  std::string x, weight, bias;
  int64_t groups = 0;
  const NodeProto *back = nullptr, *product = nullptr, *sum = nullptr;
};

bool FindWrittenOut(Conversion& to, const OpNode& node, WrittenOut& found) {
  const GraphView& view = to.view();
  const NodeProto* into = view.ProducerOf(node.input(0));
  found.back = OnlyReader(view, node.output(), "Reshape");
  if (into == nullptr || into->op_type() != "Reshape" || found.back == nullptr || !HasPlainWeights(to, node))
    return false;
  found.x = into->input(0);
  const Known *x = view.Find(found.x, 0), *y = view.Find(found.back->output(0), 0);
  found.groups = node.input_dims(0)[1];
  const bool fits = x->dims == y->dims && (x->rank() == 3 || x->rank() == 4) && x->dims[1] % found.groups == 0 &&
                    node.rank() == 3 && x->dims[0] == node.input_dims(0)[0];
  if (!fits) return false;
  const int64_t channels = x->dims[1];
  const size_t spatial = x->dims.size() - 2;
  found.product = OnlyReader(view, found.back->output(0), "Mul");
  if (found.product == nullptr) return false;
  found.weight = ChannelsOf(view, Other(*found.product, found.back->output(0)), channels, spatial);
  found.sum = OnlyReader(view, found.product->output(0), "Add");
  if (found.sum == nullptr || found.weight.empty()) return false;
  found.bias = ChannelsOf(view, Other(*found.sum, found.product->output(0)), channels, spatial);
  return !found.bias.empty();
}

void SetNorm(models::Node& layer, const OpNode& node, int64_t groups) {
  models::GroupNorm& norm = *layer.mutable_group_norm();
  if (groups > 0) norm.set_groups(static_cast<uint32_t>(groups));
  if (const double epsilon = node.attributes().Float("epsilon", 1e-5); epsilon != 1e-5) norm.set_epsilon(epsilon);
}

bool ConvertWrittenOut(Conversion& to, const OpNode& node) {
  WrittenOut found;
  if (!FindWrittenOut(to, node, found)) return false;
  models::Node layer = NodeReading({to.Floats(found.x)});
  const std::string name = TakeWeights(to, node, "group_norm", {{"weight", found.weight}, {"bias", found.bias}}, layer);
  SetNorm(layer, node, found.groups);
  to.Bind(found.sum->output(0), {to.Emit(std::move(layer), name)});
  for (const NodeProto* done : {found.back, found.product, found.sum}) to.MarkDone(*done);
  return true;
}

/// `groups`: 0 makes each channel one.
void EmitGroupNorm(Conversion& to, const OpNode& node, int64_t groups, const std::string& kind) {
  if (node.rank() < 3 || node.rank() > 4) throw Unsupported(fmt::format("{} dimensions", node.rank()));
  models::Node layer = NodeReading({to.Floats(node.input(0))});
  std::string name = to.NameFor(node, kind);
  if (HasPlainWeights(to, node))
    layer.mutable_group_norm()->set_affine(false);
  else
    name = TakeWeights(to, node, kind, {{"weight", node.input(1)}, {"bias", node.input(2)}}, layer);
  SetNorm(layer, node, groups);
  to.Bind(node.output(), {to.Emit(std::move(layer), name)});
}

void ConvertInstanceNorm(Conversion& to, const OpNode& node) {
  if (!ConvertWrittenOut(to, node)) EmitGroupNorm(to, node, 0, "instance_norm");
}

void ConvertGroupNorm(Conversion& to, const OpNode& node) {
  const int64_t groups = node.attributes().Int("num_groups", 1);
  if (node.step().opset() < 21 && groups != node.input_dims(0)[1])
    throw Unsupported("a weight for each group, as opset 18 to 20 have it");
  EmitGroupNorm(to, node, groups, "group_norm");
}

}  // namespace

ConvertRules GroupNormConversions() {
  return {{"GroupNormalization", ConvertGroupNorm}, {"InstanceNormalization", ConvertInstanceNorm}};
}

}  // namespace lockstep::onnx
