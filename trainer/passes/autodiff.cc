#include <map>
#include <utility>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::kNoValue;
using graph::ValueId;

/// Walks the forward ops backward and keeps, for each value, the gradient summed so far. When the walk comes to an op,
/// all readers of its results have been walked: their gradients are complete.
class Autodiff final : public graph::GradientContext {
 public:
  Autodiff(const graph::Graph& forward, const std::set<std::string>& frozen) : graph_(forward) {
    wanted_.resize(graph_.values.size(), false);
    for (ValueId parameter : graph_.parameters) {
      wanted_[static_cast<size_t>(parameter)] = !frozen.contains(graph_.value(parameter).name);
    }
    for (const graph::Op& op : graph_.ops) {
      bool any = false;
      for (size_t i = 0; i < op.inputs.size(); ++i) any = any || IsWanted(op.inputs[i]);
      for (ValueId id : op.outputs) {
        if (any && id != kNoValue) wanted_[static_cast<size_t>(id)] = true;
      }
    }
    for (const graph::Loss& loss : graph_.losses) losses_.insert(loss.sum);
  }

  graph::Graph Run() && {
    for (size_t i = graph_.ops.size(); i-- > 0;) {
      op_ = graph_.ops[i];
      if (!NeedsGradient()) continue;
      const auto gradient = graph::Row(op_.kind).gradient;
      CHECK(gradient != nullptr, "{} ({}) has no gradient", op_.name, graph::Name(op_.kind));
      gradient(*this);
    }
    CollectGradients();
    return std::move(graph_);
  }

  const graph::Graph& graph() const override { return graph_; }
  const graph::Op& op() const override { return op_; }
  bool Wanted(int input) const override { return IsWanted(op_.inputs[static_cast<size_t>(input)]); }

  ValueId OutputGradient(int output) const override {
    const auto found = gradients_.find(op_.outputs[static_cast<size_t>(output)]);
    return found == gradients_.end() ? kNoValue : found->second;
  }

  std::vector<ValueId> Emit(graph::OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes,
                            const std::string& suffix) override {
    return graph::AppendOp(graph_, kind, std::move(inputs), std::move(attributes), op_.name + suffix);
  }

  void Accumulate(int input, ValueId gradient) override {
    const ValueId value = op_.inputs[static_cast<size_t>(input)];
    if (!IsWanted(value)) return;
    CHECK(graph_.value(gradient).shape == graph_.value(value).shape, "the gradient of {} {} has shape {}",
          graph_.value(value).name, graph_.value(value).shape.ToString(), graph_.value(gradient).shape.ToString());
    const auto [place, first] = gradients_.try_emplace(value, gradient);
    if (first) return;
    place->second = graph::AppendOp(graph_, graph::OpKind::kAdd, {place->second, gradient},
                                    graph::ActivationAttributes{graph::Activation::kNone},
                                    graph_.value(value).name + "/grad_sum")[0];
  }

  ValueId StepBlockValue() override { return graph::EnsureStepBlock(graph_); }

 private:
  bool IsWanted(ValueId id) const {
    // Values that autodiff made have no gradients.
    return id != kNoValue && static_cast<size_t>(id) < wanted_.size() && wanted_[static_cast<size_t>(id)];
  }

  /// Whether a wanted loss is the op's result or depends on one of them.
  bool NeedsGradient() const {
    bool reached = false;
    for (ValueId id : op_.outputs)
      reached = reached || gradients_.contains(id) || (losses_.contains(id) && IsWanted(id));
    return reached;
  }

  /// Names the parameters' gradients. A value that is two parameters' (both summands of one kAdd) is copied: each
  /// gradient has its own place in the gradient arena.
  void CollectGradients() {
    std::set<ValueId> taken;
    for (ValueId parameter : graph_.parameters) {
      const auto found = gradients_.find(parameter);
      if (found == gradients_.end()) continue;
      const std::string name = graph_.value(parameter).name + "/grad";
      ValueId gradient = found->second;
      if (!taken.insert(gradient).second) {
        gradient = graph::AppendOp(graph_, graph::OpKind::kReshape, {gradient},
                                   graph::ReshapeAttributes{graph_.value(parameter).shape}, name)[0];
      }
      graph_.values[static_cast<size_t>(gradient)].name = name;
      graph_.gradients[parameter] = gradient;
    }
  }

  graph::Graph graph_;
  graph::Op op_;  // a copy: emitting moves graph_.ops
  std::vector<bool> wanted_;
  std::set<ValueId> losses_;
  std::map<ValueId, ValueId> gradients_;
};

}  // namespace

graph::Graph AddGradients(const graph::Graph& forward, const std::set<std::string>& frozen) {
  return Autodiff(forward, frozen).Run();
}

}  // namespace lockstep::passes
