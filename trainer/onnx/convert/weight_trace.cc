#include "trainer/onnx/convert/weight_trace.h"

#include <fmt/format.h>

#include "trainer/onnx/model_file.h"

namespace lockstep::onnx {
namespace {

class Evaluation {
 public:
  explicit Evaluation(const GraphView& view) : view_(view) {}

  const Known& Value(const std::string& name) {
    if (const auto found = known_.find(name); found != known_.end()) return found->second;
    const Known* folded = view_.Find(name, 0);
    if (folded != nullptr && folded->constant != nullptr) return known_[name] = *folded;
    if (const TensorProto* tensor = view_.Initializer(name)) {
      if (view_.IsParameter(name)) sources.insert(name);
      Tensor values = ReadTensor(*tensor, view_.external());
      Known known{values.type, values.dims};
      known.constant = std::make_shared<const Tensor>(std::move(values));
      return known_[name] = std::move(known);
    }
    return Apply(name);
  }

  std::set<std::string> sources;

 private:
  const Known& Apply(const std::string& name) {
    constexpr int kMostDepth = 200;
    if (++depth_ > kMostDepth) throw Unsupported("weights that are made of weights, again and again");
    const NodeProto* node = view_.ProducerOf(name);
    const OpRule* rule = node == nullptr ? nullptr : RuleOf(node->op_type());
    if (rule == nullptr || !view_.IsOfWeights(name)) throw Unsupported("weights that depend on data");
    if (rule->evaluate == nullptr || node->output(0) != name)
      throw Unsupported(fmt::format("weights that are made by {}", node->op_type()));
    std::vector<const Known*> inputs;
    for (const std::string& input : node->input()) inputs.push_back(input.empty() ? nullptr : &Value(input));
    Step step(*node, OpsetOf(view_.model()), std::move(inputs));
    step.outputs.resize(static_cast<size_t>(node->output_size()));
    rule->infer(step);
    Tensor result{step.outputs[0].type, step.outputs[0].dims, {}};
    rule->evaluate(step, result);
    Known known{result.type, result.dims};
    known.constant = std::make_shared<const Tensor>(std::move(result));
    --depth_;
    return known_[name] = std::move(known);
  }

  int depth_ = 0;
  const GraphView& view_;
  KnownValues known_;
};

}  // namespace

WeightTrace TraceOf(const GraphView& view, const std::string& value) {
  Evaluation evaluation(view);
  const Known& known = evaluation.Value(value);
  std::vector<float> floats;
  for (const double element : known.constant->values) floats.push_back(static_cast<float>(element));
  return {std::move(floats), std::move(evaluation.sources)};
}

}  // namespace lockstep::onnx
