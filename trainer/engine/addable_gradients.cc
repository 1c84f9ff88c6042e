#include "trainer/engine/addable_gradients.h"

#include <algorithm>

namespace lockstep::engine {

std::string ParameterOfGradient(const graph::Graph& graph, const graph::Op& op) {
  if (op.outputs.empty()) return "";
  for (const auto& [parameter, gradient] : graph.gradients)
    if (gradient != graph::kNoValue && gradient == op.outputs[0]) return graph.value(parameter).name;
  return "";
}

std::set<std::string> AddableGradients(const ProgramPlan& plan, Backend& backend) {
  const graph::Graph& graph = plan.graph;
  std::set<std::string> names;
  for (const graph::Op& op : graph.ops) {
    const std::string name = ParameterOfGradient(graph, op);
    const auto reads = [&](const graph::Op& other) {
      return std::ranges::find(other.inputs, op.outputs[0]) != other.inputs.end();
    };
    if (!name.empty() && std::ranges::none_of(graph.ops, reads) && backend.CanAdd(graph, op)) names.insert(name);
  }
  return names;
}

}  // namespace lockstep::engine
