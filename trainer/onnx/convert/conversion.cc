#include "trainer/onnx/convert/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace lockstep::onnx {
namespace {

ConvertRules AllConversions() {
  ConvertRules rules = ElementwiseConversions();
  for (ConvertRules family :
       {MovementConversions(), LookupConversions(), ReductionConversions(), ProductConversions(), WindowConversions(),
        ResizeConversions(), NormConversions(), GroupNormConversions(), RecurrentConversions(), RandomConversions()})
    rules.merge(family);
  return rules;
}

const ConvertRule* ConversionOf(const std::string& op) {
  static const ConvertRules rules = AllConversions();
  const auto found = rules.find(op);
  return found == rules.end() ? nullptr : &found->second;
}

/// Keeps hostile files from exhausting the stack.
constexpr int kMostDepth = 200;

/// Letters, digits, '_', '.' and '-', as recipes' names have them.
std::string Sanitized(const std::string& name) {
  std::string plain;
  for (const char c : name) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
    if (fits || (!plain.empty() && plain.back() != '_')) plain += fits ? c : '_';
  }
  return plain.empty() ? "node" : plain;
}

}  // namespace

Conversion::Conversion(const GraphView& view) : view_(view) {
  result_.exporter = view.provenance().exporter;
  result_.graph.set_channels_first(true);
  CountModules();
}

/// How many operators a module comes to, and which modules have modules in them.
void Conversion::CountModules() {
  for (const NodeProto& node : view_.graph().node()) {
    const Known* known = node.output_size() == 0 ? nullptr : view_.Find(node.output(0), 0);
    if (known == nullptr || known->constant != nullptr || !view_.IsNeeded(node)) continue;
    std::string path = ModulePathOf(node);
    ops_of_module_[path].insert(node.op_type());
    for (size_t dot = path.rfind('.'); dot != std::string::npos; dot = path.rfind('.')) {
      path.resize(dot);
      parents_of_modules_.insert(path);
    }
  }
}

ImportResult Conversion::Run() {
  refused_ = view_.refusals();
  std::erase_if(refused_, [&](const Refusal& refusal) { return !view_.IsNeeded(*refusal.node); });
  AddInputs();
  result_.counts.nodes = view_.graph().node_size();
  for (const NodeProto& node : view_.graph().node())
    if (view_.IsNeeded(node)) ConvertNode(node);
  if (!refused_.empty()) ThrowUnsupported();
  try {
    AddOutputs();
  } catch (const Unsupported& reason) {
    throw Error(ErrorKind::kUsage, fmt::format("its output can't be imported: {}", reason.what()));
  }
  RemoveUnread();
  return std::move(result_);
}

void Conversion::AddInputs() {
  for (const ValueInfoProto* input : view_.Inputs()) {
    const Known* known = view_.Find(input->name(), 0);
    models::GraphInput* field = result_.graph.add_input();
    field->set_name(FreeName(input->name()));
    const bool integers = !IsFloatType(known->type);
    field->set_integers(integers);
    const Dims open = OpenShape(input->name());
    if (view_.has_batch() && (open.empty() || open[0] != -1))
      throw Error(ErrorKind::kUsage,
                  fmt::format("input \"{}\" {} does not begin with the batch", input->name(), ToString(open)), "",
                  "all inputs of a model to be trained have one entry for each sample, in front");
    for (size_t d = view_.has_batch() ? 1 : 0; d < open.size(); ++d) field->add_shape(open[d]);
    Ref ref{field->name(), integers};
    if (!view_.has_batch()) {  // recipes' inputs have a batch: here of one sample, which is the whole
      models::Node node;
      node.add_input(field->name());
      for (const int64_t dim : open) node.mutable_reshape()->add_shape(dim);
      if (open.empty()) node.mutable_reshape()->add_shape(1);
      ref.name = Emit(std::move(node), field->name() + ".whole");
    }
    Bind(input->name(), ref);
  }
}

void Conversion::AddOutputs() {
  for (const ValueInfoProto& output : view_.graph().output()) {
    models::GraphOutput* field = result_.graph.add_output();
    if (!IsBound(output.name()) && !view_.IsConstant(output.name()) && !view_.IsOfWeights(output.name()))
      throw Error(ErrorKind::kData, fmt::format("no node makes the output \"{}\"", output.name()));
    const Ref ref = Value(output.name());
    field->set_name(Sanitized(output.name()));
    field->set_node(ref.name);
  }
}

/// What conversion went past: transposes that undo each other, and constants that only they read.
void Conversion::RemoveUnread() {
  std::set<std::string> read;
  const auto mark = [&](const std::string& input) { read.insert(input.substr(0, input.find(':'))); };
  for (const models::GraphOutput& output : result_.graph.output()) mark(output.node());
  google::protobuf::RepeatedPtrField<models::Node> kept;
  std::set<std::string> gone;
  for (int i = result_.graph.node_size(); i-- > 0;) {
    models::Node& node = *result_.graph.mutable_node(i);
    const bool has_parameters = !node.parameters().empty() || HasStored(node.name() + ".weight");
    if (!read.contains(node.name()) && !has_parameters) {
      if (node.has_parameter() || node.has_buffer()) gone.insert(node.name());
      if (node.has_buffer()) --result_.counts.buffers;
      continue;
    }
    for (const std::string& input : node.input()) mark(input);
    kept.Add(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  result_.graph.mutable_node()->Swap(&kept);
  std::erase_if(result_.tensors, [&](const ImportedTensor& tensor) { return gone.contains(tensor.name); });
}

void Conversion::ConvertNode(const NodeProto& node) {
  if (done_.contains(&node) || node.output_size() == 0) return;
  const auto made =
      std::find_if(node.output().begin(), node.output().end(), [](const auto& name) { return !name.empty(); });
  if (made == node.output().end()) return;
  const std::string& first = *made;
  const Known* known[2] = {view_.Find(first, 0), view_.Find(first, 1)};
  if (known[0] == nullptr || known[1] == nullptr || known[0]->constant != nullptr) return;
  if (view_.IsOfWeights(first)) return;  // when it is wanted
  ++result_.counts.nodes_left;
  const ConvertRule* rule = ConversionOf(node.op_type());
  try {
    if (rule == nullptr) throw Unsupported("this operator");
    (*rule)(*this, OpNode(view_, node));
  } catch (const Unsupported& reason) {
    // What depends on a refused node is refused for that reason alone.
    const bool follows = std::any_of(node.input().begin(), node.input().end(), [&](const std::string& input) {
      return std::any_of(refused_.begin(), refused_.end(), [&](const Refusal& refusal) {
        const auto& outputs = refusal.node->output();
        return std::find(outputs.begin(), outputs.end(), input) != outputs.end();
      });
    });
    refused_.push_back({&node, follows ? "" : reason.what()});
  }
}

void Conversion::ThrowUnsupported() const {
  std::map<std::string, std::vector<std::string>> places;
  for (const Refusal& refusal : refused_) {
    if (refusal.reason.empty()) continue;
    const std::string path = ModulePathOf(*refusal.node);
    places[fmt::format("{}: {}", refusal.node->op_type(), refusal.reason)].push_back(
        path.empty() ? "node " + refusal.node->name() : path);
  }
  std::string message = "has what Lockstep doesn't support:";
  for (const auto& [what, where] : places) {
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(where.size(), 3); ++i) list += (i == 0 ? "" : ", ") + where[i];
    message += fmt::format("\n  {}, {} {} (in {}{})", what, where.size(), where.size() == 1 ? "node" : "nodes", list,
                           where.size() > 3 ? ", ..." : "");
  }
  throw Error(ErrorKind::kUsage, message, "",
              view_.fixed_batch() ? "the batch is written out in this file; with an open batch more may be read: "
                                    "torch.onnx.export(..., dynamic_shapes={\"x\": {0: \"batch\"}})"
                                  : "docs/onnx.md lists what is supported");
}

Dims Conversion::OpenShape(const Dims& first, const Dims& second) const {
  Dims shape = first;
  int open = 0;
  if (first.size() != second.size()) throw Unsupported("a number of dimensions that depends on the batch");
  for (size_t d = 0; d < first.size(); ++d) {
    if (first[d] == second[d]) continue;
    if (first[d] % view_.batch(0) != 0 || first[d] / view_.batch(0) * view_.batch(1) != second[d])
      throw Unsupported(fmt::format("a dimension of {} for a batch of {} and {} for {}", first[d], view_.batch(0),
                                    second[d], view_.batch(1)));
    shape[d] = -1;
    if (++open > 1) throw Unsupported("two dimensions that grow with the batch");
  }
  return shape;
}

Dims Conversion::OpenShape(const std::string& value) const {
  const Known *a = view_.Find(value, 0), *b = view_.Find(value, 1);
  if (a == nullptr || b == nullptr) throw Unsupported("its shape is not known");
  return OpenShape(a->dims, b->dims);
}

Ref Conversion::Value(const std::string& value) {
  if (const auto found = refs_.find(value); found != refs_.end()) return found->second;
  if (view_.IsParameter(value)) return refs_[value] = ConstantValue(value, value);
  const Known* known = view_.Find(value, 0);
  if (known == nullptr) throw Unsupported(fmt::format("its input \"{}\" is not there", value));
  if (known->constant != nullptr) {
    const NodeProto* producer = view_.ProducerOf(value);
    const std::string path = producer == nullptr ? "" : ModulePathOf(*producer);
    const std::string name = IsGivenName(value) && view_.Initializer(value) != nullptr ? value
                             : path.empty()                                            ? "constant"
                                                                                       : path + ".constant";
    return refs_[value] = ConstantValue(value, name);
  }
  const NodeProto* producer = view_.ProducerOf(value);
  if (producer != nullptr && view_.IsOfWeights(value) && !done_.contains(producer)) {
    const ConvertRule* rule = ConversionOf(producer->op_type());
    if (rule == nullptr) throw Unsupported(fmt::format("{} of weights", producer->op_type()));
    if (++depth_ > kMostDepth) throw Unsupported("weights that are made of weights, again and again");
    (*rule)(*this, OpNode(view_, *producer));
    --depth_;
    if (const auto found = refs_.find(value); found != refs_.end()) return found->second;
  }
  throw Unsupported(producer == nullptr ? fmt::format("its input \"{}\" is not there", value)
                                        : fmt::format("it reads a further result of {}", producer->op_type()));
}

std::string Conversion::Floats(const std::string& value) {
  const Ref ref = Value(value);
  if (!ref.integers) return ref.name;
  std::string& cast = casts_[ref.name];
  if (!cast.empty()) return cast;
  models::Node node;
  node.add_input(ref.name);
  node.mutable_cast();
  return cast = Emit(std::move(node), ref.name + ".floats");
}

std::string Conversion::Integers(const std::string& value) {
  const Ref ref = Value(value);
  if (ref.integers) return ref.name;
  std::string& cast = casts_[ref.name];
  if (!cast.empty()) return cast;
  models::Node node;
  node.add_input(ref.name);
  node.mutable_cast()->set_integers(true);
  return cast = Emit(std::move(node), ref.name + ".integers");
}

std::string Conversion::FreeName(const std::string& name) {
  const std::string base = Sanitized(name);
  std::string free = base;
  for (int i = 1; names_.contains(free); ++i) free = fmt::format("{}_{}", base, i);
  names_.insert(free);
  return free;
}

std::string Conversion::Emit(models::Node node, const std::string& name) {
  node.set_name(FreeName(name));
  if (node.parameters() == node.name()) node.clear_parameters();
  places_[node.name()] = result_.graph.node_size();
  result_.graph.mutable_node()->Add(std::move(node));
  return result_.graph.node(result_.graph.node_size() - 1).name();
}

const models::Node* Conversion::Emitted(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &result_.graph.node(found->second);
}

models::Node* Conversion::Emitted(const std::string& name) {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : result_.graph.mutable_node(found->second);
}

std::string Conversion::NameFor(const OpNode& node, const std::string& kind) const {
  const std::string path = ModulePathOf(node.proto());
  if (path.empty()) return kind;
  const auto ops = ops_of_module_.find(path);
  const bool whole = ops != ops_of_module_.end() && ops->second.size() == 1 && !parents_of_modules_.contains(path);
  return whole ? path : path + "." + kind;
}

}  // namespace lockstep::onnx
