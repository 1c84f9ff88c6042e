// Graphs as text, for tests to compare.
#pragma once

#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/graph/op_table.h"

namespace lockstep::passes {

inline std::string ValueName(const graph::Graph& graph, graph::ValueId id) {
  return id == graph::kNoValue ? "-" : graph.value(id).name;
}

inline std::string ValueNames(const graph::Graph& graph, const std::vector<graph::ValueId>& ids) {
  std::string names;
  for (graph::ValueId id : ids) names.append(names.empty() ? "" : ", ").append(ValueName(graph, id));
  return names;
}

/// "kind(input, input) -> output" by op, from op `first` on.
inline std::vector<std::string> OpTexts(const graph::Graph& graph, size_t first = 0) {
  std::vector<std::string> texts;
  for (size_t i = first; i < graph.ops.size(); ++i) {
    const graph::Op& op = graph.ops[i];
    std::string text = Name(op.kind);
    text.append("(").append(ValueNames(graph, op.inputs)).append(") -> ").append(ValueNames(graph, op.outputs));
    texts.push_back(text);
  }
  return texts;
}

/// "parameter: gradient" for each that has one.
inline std::vector<std::string> GradientTexts(const graph::Graph& graph) {
  std::vector<std::string> texts;
  for (const auto& [parameter, gradient] : graph.gradients) {
    texts.push_back(ValueName(graph, parameter).append(": ").append(ValueName(graph, gradient)));
  }
  return texts;
}

}  // namespace lockstep::passes
