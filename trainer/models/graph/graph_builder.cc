#include "trainer/models/graph/graph_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "trainer/graph/strided.h"
#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::kNoValue;
using graph::ValueId;

namespace {

/// What a repeated block calls what it reads.
constexpr char kBlockInput[] = "block_input";

std::string KindOf(const Node& node) {
  return node.op_case() == Node::OP_NOT_SET ? "" : node.GetDescriptor()->FindFieldByNumber(node.op_case())->name();
}

[[noreturn]] void FailNode(const std::string& name, const std::string& message, const std::string& hint = "") {
  Fail("model.graph", fmt::format("node \"{}\": {}", name, message), hint);
}

void RequireName(const std::string& name) {
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || c == '_' || c == '.' || c == '-' || c == '/') continue;
    FailNode(name, "its name has a character other than letters, digits, '_', '.', '-' and '/'");
  }
}

/// "lstm:1" is result 1 of "lstm".
std::pair<std::string, size_t> SplitResult(const std::string& name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos) return {name, 0};
  size_t result = 0;
  const char* end = name.data() + name.size();
  if (std::from_chars(name.data() + colon + 1, end, result).ptr != end) return {name, 0};
  return {name.substr(0, colon), result};
}

/// The families in the order in which they are asked.
std::vector<ValueId> BuildNode(const NodeBuild& node) {
  for (const auto& build :
       {BuildLayerNode, BuildNormNode, BuildSequenceNode, BuildArithmeticNode, BuildReductionNode, BuildMovementNode}) {
    std::vector<ValueId> results = build(node);
    if (!results.empty()) return results;
  }
  node.Fail("does not say what it does", "add one of linear, conv, batch_norm, add, reshape, ...");
}

bool HasNoInputs(const Node& node) { return node.has_parameter() || node.has_buffer(); }

}  // namespace

GraphBuilder::GraphBuilder(graph::Builder& builder, const GraphModel& config, const DataShape& data, int outputs)
    : context_{.builder = builder,
               .channels_first = config.channels_first(),
               .outputs = outputs,
               .words = data.input == "tokens" ? data.classes : 0},
      config_(config),
      data_(data) {}

void GraphBuilder::Build() {
  if (config_.node().empty()) Fail("model.graph.node", "is required");
  // First, so that a node may have the name of what it learns.
  if (context_.builder.mode() != graph::Mode::kInfer)
    for (const GraphLoss& loss : config_.loss())
      if (const std::optional<DataField> answer = data_.Find(loss.target()); answer && answer->answer)
        context_.builder.Input(answer->name, answer->shape, answer->dtype);
  Block(config_.node(), {});
}

void GraphBuilder::Block(const google::protobuf::RepeatedPtrField<Node>& nodes, const Scope& scope) {
  last_ = scope.input;
  for (const Node& node : nodes) OneNode(node, scope);
}

std::string GraphBuilder::NameOf(const Node& node, const Scope& scope) {
  RequireName(node.name());
  const std::string base = scope.prefix + KindOf(node);
  const std::string name =
      node.name().empty() ? fmt::format("{}{}", base, ++counts_[base]) : scope.prefix + node.name();
  if (results_.contains(name)) FailNode(name, "another node has its name", "give nodes names that differ");
  return name;
}

void GraphBuilder::OneNode(const Node& node, const Scope& scope) {
  const std::string name = NameOf(node, scope);
  if (node.has_repeat()) return RepeatBlock(node, name, scope);
  std::vector<std::string> input_names;
  std::vector<ValueId> inputs;
  if (!HasNoInputs(node) || node.input_size() > 0) inputs = Inputs(node, name, scope, input_names);
  std::string parameters = name;
  if (!node.parameters().empty())
    parameters = node.parameters().front() == '/' ? node.parameters().substr(1) : scope.prefix + node.parameters();
  std::vector<ValueId> results =
      BuildNode({context_, node, name, parameters, std::move(inputs), std::move(input_names)});
  last_ = results[0];
  results_[name] = std::move(results);
}

void GraphBuilder::RepeatBlock(const Node& node, const std::string& name, const Scope& scope) {
  RequireRange(fmt::format("model.graph: node \"{}\": repeat.times", name), node.repeat().times(), 1, 10000);
  if (node.repeat().node().empty()) FailNode(name, "its repeat has no nodes");
  std::vector<std::string> input_names;
  ValueId x = Inputs(node, name, scope, input_names)[0];
  for (uint32_t i = 0; i < node.repeat().times(); ++i) {
    Block(node.repeat().node(), {.prefix = fmt::format("{}.{}.", name, i), .input = x});
    x = last_;
  }
  results_[name] = {x};
}

std::vector<ValueId> GraphBuilder::Inputs(const Node& node, const std::string& name, const Scope& scope,
                                          std::vector<std::string>& names) {
  if (node.input().empty()) {
    names.emplace_back(last_ == kNoValue ? data_.input : "the node before");
    return {last_ == kNoValue ? DefaultInput(name) : last_};
  }
  std::vector<ValueId> values;
  for (const std::string& input : node.input()) {
    const ValueId value = Find(input, scope, name);
    if (value == kNoValue) FailUnknown(input, name);
    values.push_back(value);
    names.push_back(input);
  }
  return values;
}

ValueId GraphBuilder::DefaultInput(const std::string& name) {
  const std::string field = config_.input().empty() ? data_.input : config_.input(0).name();
  const ValueId value = DataInput(field);
  if (value == kNoValue) FailNode(name, "it is the first, and there is no input for it");
  return value;
}

ValueId GraphBuilder::Find(const std::string& name, const Scope& scope, const std::string& reader) {
  if (name == kBlockInput && scope.input != kNoValue) return scope.input;
  const auto [node, result] = SplitResult(name);
  // From the innermost block outwards: "h.3." and then "".
  for (std::string prefix = scope.prefix;;) {
    if (const auto found = results_.find(prefix + node); found != results_.end()) {
      if (result < found->second.size()) return found->second[result];
      FailNode(reader,
               fmt::format("its input \"{}\" is result {} of a node with {}", name, result, found->second.size()),
               "results count from 0");
    }
    if (prefix.empty()) break;
    prefix.resize(prefix.size() - 1);
    const size_t number = prefix.rfind('.');
    const size_t block = number == std::string::npos ? number : prefix.rfind('.', number - 1);
    prefix = block == std::string::npos ? "" : prefix.substr(0, block + 1);
  }
  if (const ValueId parameter = context_.builder.FindParameter(name); parameter != kNoValue) return parameter;
  return DataInput(name);
}

ValueId GraphBuilder::DataInput(const std::string& name) {
  if (const auto known = inputs_.find(name); known != inputs_.end()) return known->second;
  const auto given = std::ranges::find_if(config_.input(), [&](const GraphInput& one) { return one.name() == name; });
  const bool declared = given != config_.input().end();
  const std::string field = declared && !given->field().empty() ? given->field() : name;
  const Shape shape =
      declared ? Shape(std::span<const int64_t>(given->shape().data(), static_cast<size_t>(given->shape_size())))
               : Shape{};
  DataField of_data{.name = field, .shape = shape, .dtype = declared && given->integers() ? DType::kI32 : DType::kF32};
  if (const std::optional<DataField> own = data_.Find(field); own && !own->answer)
    of_data = *own;
  else if (!declared)
    return kNoValue;
  ValueId value = context_.builder.Input(field, of_data.shape, of_data.dtype);
  // Nodes that ask for the data's own order get it.
  const bool as_it_is = declared && shape == of_data.shape;
  if (context_.channels_first && field == "image" && of_data.shape.rank() == 3 && !as_it_is)
    value = context_.builder.Emit(graph::OpKind::kStrided, {value},
                                  graph::Transposed(context_.builder.shape(value), std::vector<int>{0, 3, 1, 2}),
                                  field + "/channels_first")[0];
  if (declared && shape.rank() > 0 && context_.builder.shape(value) != shape.Batched(context_.builder.batch()))
    Fail("model.graph.input", fmt::format("\"{}\" is to be {}, but the data's {} is {}", name, shape.ToString(), field,
                                          SampleText(context_.builder.shape(value))));
  return inputs_[name] = value;
}

ValueId GraphBuilder::Value(const std::string& name, const std::string& reader) {
  const ValueId value = Find(name, {}, reader);
  if (value == kNoValue) FailUnknown(name, reader);
  return value;
}

void GraphBuilder::FailUnknown(const std::string& input, const std::string& reader) const {
  std::vector<std::string> fields{"\"" + data_.input + "\""};
  for (const DataField& field : data_.fields)
    if (!field.answer && field.name != data_.input) fields.push_back("\"" + field.name + "\"");
  Fail("model.graph",
       fmt::format("\"{}\" reads \"{}\", which is no node before it, no parameter and no field of the data", reader,
                   input),
       fmt::format("nodes stand in the order in which they are read; the data have {}", fmt::join(fields, ", ")));
}

}  // namespace lockstep::models
