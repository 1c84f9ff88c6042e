// Builds a recipe's graph: gives nodes their names and inputs, in order, and repeats blocks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/models/data_shape.h"
#include "trainer/models/graph/node.h"

namespace lockstep::models {

class GraphBuilder {
 public:
  /// `outputs`: classes or targets of the data, 0 where it has neither.
  GraphBuilder(graph::Builder& builder, const GraphModel& config, const DataShape& data, int outputs);

  /// Appends all nodes.
  void Build();

  /// Of a node, a field of the data or a parameter; "NAME:1": of its second result. `reader` names who asks in errors.
  /// REQUIRES: Build().
  graph::ValueId Value(const std::string& name, const std::string& reader);
  /// The last node's first result.
  graph::ValueId last() const { return last_; }

 private:
  /// A block of nodes: what stands in front of its names, and what it reads (kNoValue outside of repeats).
  struct Scope {
    std::string prefix;
    graph::ValueId input = graph::kNoValue;
  };
  void Block(const google::protobuf::RepeatedPtrField<Node>& nodes, const Scope& scope);
  void OneNode(const Node& node, const Scope& scope);
  void RepeatBlock(const Node& node, const std::string& name, const Scope& scope);
  std::vector<graph::ValueId> Inputs(const Node& node, const std::string& name, const Scope& scope,
                                     std::vector<std::string>& names);
  /// kNoValue: there is none of that name.
  graph::ValueId Find(const std::string& name, const Scope& scope, const std::string& reader);
  graph::ValueId DataInput(const std::string& name);
  graph::ValueId DefaultInput(const std::string& name);
  std::string NameOf(const Node& node, const Scope& scope);
  [[noreturn]] void FailUnknown(const std::string& input, const std::string& reader) const;

  GraphContext context_;
  const GraphModel& config_;
  const DataShape& data_;
  std::map<std::string, std::vector<graph::ValueId>> results_;  ///< by full name
  std::map<std::string, graph::ValueId> inputs_;                ///< of the data, as nodes see them
  std::map<std::string, int> counts_;
  graph::ValueId last_ = graph::kNoValue;  ///< of the node before, in the present block
};

/// Adds the losses that the recipe names (none in kInfer), of the first output where they don't say another node.
void AddGraphLosses(GraphBuilder& nodes, graph::Builder& builder, const GraphModel& config, graph::ValueId first);

}  // namespace lockstep::models
