#include "trainer/onnx/fold/fold.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace lockstep::onnx {
namespace {

/// Larger results are computed when the model runs: a constant is no place for a gigabyte.
constexpr int64_t kMostFolded = int64_t{1} << 20;

OpRules AllRules() {
  OpRules rules = ElementwiseRules();
  for (OpRules family : {MovementRules(), IndexRules(), ReductionRules(), LayerRules()}) rules.merge(family);
  return rules;
}

Known KnownOf(Tensor tensor) {
  Known known{tensor.type, tensor.dims};
  known.constant = std::make_shared<const Tensor>(std::move(tensor));
  return known;
}

/// One pass over the nodes, which files have in an order of calculation.
class Pass {
 public:
  Pass(const ModelProto& model, const FoldOptions& options, const ReadExternal& external)
      : model_(model), options_(options), external_(external) {
    for (const OperatorSetIdProto& opset : model.opset_import())
      if (opset.domain().empty() || opset.domain() == "ai.onnx") opset_ = static_cast<int>(opset.version());
  }

  Folding Run() {
    for (const TensorProto& tensor : model_.graph().initializer()) AddInitializer(tensor);
    for (const ValueInfoProto& input : model_.graph().input())
      if (!folding_.values.contains(input.name())) AddInput(input);
    for (const NodeProto& node : model_.graph().node()) AddNode(node);
    return std::move(folding_);
  }

 private:
  void AddInitializer(const TensorProto& tensor) {
    const Dims dims(tensor.dims().begin(), tensor.dims().end());
    if (options_.parameters.contains(tensor.name()) || ElementsOf(dims) > kMostFolded)
      folding_.values[tensor.name()] = Known{tensor.data_type(), dims};
    else
      folding_.values[tensor.name()] = KnownOf(ReadTensor(tensor, external_));
  }

  void AddInput(const ValueInfoProto& input) {
    if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape())
      throw Error(ErrorKind::kUsage, fmt::format("input \"{}\" is no tensor of known rank", input.name()));
    Known known{input.type().tensor_type().elem_type(), {}};
    const TensorShapeProto& shape = input.type().tensor_type().shape();
    for (int i = 0; i < shape.dim_size(); ++i) known.dims.push_back(SizeOf(input, i, shape.dim(i)));
    ElementsOf(known.dims);
    folding_.values[input.name()] = std::move(known);
  }

  int64_t SizeOf(const ValueInfoProto& input, int index, const TensorShapeProto::Dimension& dim) const {
    const auto given = options_.dims.find(dim.dim_param());
    if (dim.has_dim_param() && given != options_.dims.end()) return given->second;
    const bool is_symbol =
        dim.has_dim_param() && !options_.batch_symbol.empty() && dim.dim_param() == options_.batch_symbol;
    const bool is_first = index == 0 && (!dim.has_dim_value() || dim.dim_value() == options_.exported_batch);
    if (options_.batch > 0 && (is_symbol || is_first)) return options_.batch;
    if (dim.has_dim_value()) return dim.dim_value();
    const std::string name = dim.dim_param().empty() ? fmt::format("dimension {}", index) : dim.dim_param();
    throw Error(ErrorKind::kUsage,
                fmt::format("input \"{}\": the size of {} is open, and only the batch's may be", input.name(), name),
                "",
                dim.dim_param().empty() ? "export the model with this dimension fixed"
                                        : fmt::format("say --dim {}=SIZE", dim.dim_param()));
  }

  void AddNode(const NodeProto& node) {
    std::vector<const Known*> inputs;
    for (const std::string& name : node.input()) {
      const auto found = folding_.values.find(name);
      // Depends on what was refused: said once is enough.
      if (!name.empty() && found == folding_.values.end()) return;
      inputs.push_back(name.empty() ? nullptr : &found->second);
    }
    Step step(node, opset_, std::move(inputs));
    step.exported_batch = options_.exported_batch;
    step.batch = options_.batch;
    step.outputs.resize(static_cast<size_t>(node.output_size()));
    try {
      Apply(step);
    } catch (const Unsupported& reason) {
      folding_.refusals.push_back({&node, reason.what()});
      return;
    }
    for (int i = 0; i < node.output_size(); ++i)
      if (!node.output(i).empty()) folding_.values[node.output(i)] = std::move(step.outputs[static_cast<size_t>(i)]);
  }

  void Apply(Step& step) {
    if (step.op() == "Constant") {
      step.outputs.at(0) = ConstantOf(step);
      return;
    }
    const OpRule* rule = RuleOf(step.op());
    if (rule == nullptr) throw Unsupported("this operator");
    rule->infer(step);
    for (const Known& output : step.outputs) ElementsOf(output.dims);
    if (rule->evaluate == nullptr || step.outputs.empty() || step.outputs[0].constant != nullptr ||
        !step.AllConstant() || step.inputs() == 0 || step.outputs[0].elements_count() > kMostFolded)
      return;
    Tensor result{step.outputs[0].type, step.outputs[0].dims, {}};
    rule->evaluate(step, result);
    step.outputs[0] = KnownOf(std::move(result));
  }

  Known ConstantOf(const Step& step) const {
    const Attributes& attributes = step.attributes;
    if (const TensorProto* tensor = attributes.TensorOf("value")) return KnownOf(ReadTensor(*tensor, external_));
    if (attributes.Has("value_float")) return KnownOf({TensorProto::FLOAT, {}, {attributes.Float("value_float", 0)}});
    if (attributes.Has("value_int"))
      return KnownOf({TensorProto::INT64, {}, {static_cast<double>(attributes.Int("value_int", 0))}});
    if (attributes.Has("value_floats")) {
      const std::vector<double> values = attributes.Floats("value_floats");
      return KnownOf({TensorProto::FLOAT, {static_cast<int64_t>(values.size())}, values});
    }
    if (attributes.Has("value_ints")) {
      const Dims ints = attributes.Ints("value_ints");
      return KnownOf(
          {TensorProto::INT64, {static_cast<int64_t>(ints.size())}, std::vector<double>(ints.begin(), ints.end())});
    }
    throw Unsupported("a constant of strings, or none");
  }

  const ModelProto& model_;
  const FoldOptions& options_;
  const ReadExternal& external_;
  int opset_ = 1;
  Folding folding_;
};

}  // namespace

const OpRule* RuleOf(const std::string& op) {
  static const OpRules rules = AllRules();
  const auto found = rules.find(op);
  return found == rules.end() ? nullptr : &found->second;
}

Folding Fold(const ModelProto& model, const FoldOptions& options, const ReadExternal& external) {
  return Pass(model, options, external).Run();
}

}  // namespace lockstep::onnx
