// A node of a recipe's graph on its way to ops: what is known of it when its inputs are values already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/graph/builder.h"
#include "trainer/models/graph.pb.h"

namespace lockstep::models {

/// What all nodes of a graph have in common.
struct GraphContext {
  graph::Builder& builder;
  bool channels_first = false;
  int outputs = 0;  ///< classes or targets of the data: features of a linear node that doesn't say them
  int words = 0;    ///< classes of the data: entries of an embedding that doesn't say them
};

class NodeBuild {
 public:
  /// `parameters`: in front of its parameters' names. `inputs`: their values and what the recipe calls them.
  NodeBuild(const GraphContext& context, const Node& node, std::string name, std::string parameters,
            std::vector<graph::ValueId> inputs, std::vector<std::string> input_names);

  const Node& node() const { return node_; }
  const std::string& name() const { return name_; }
  const std::string& parameters() const { return parameters_; }
  const GraphContext& context() const { return context_; }
  graph::Builder& builder() const { return context_.builder; }

  size_t inputs() const { return inputs_.size(); }
  graph::ValueId input(size_t index) const { return inputs_[index]; }
  const Shape& shape(graph::ValueId value) const { return builder().shape(value); }
  const Shape& input_shape(size_t index) const { return shape(inputs_[index]); }
  DType dtype(graph::ValueId value) const { return builder().dtype(value); }

  /// Throws Error(kUsage) that names the node: `node "conv1": ...`.
  [[noreturn]] void Fail(const std::string& message, const std::string& hint = "") const;
  /// That there are `least` to `most` inputs.
  void RequireInputs(size_t least, size_t most) const;
  /// Throws: "its input "x" [32, 10] is no ...".
  [[noreturn]] void FailInput(size_t index, const std::string& wanted, const std::string& hint = "") const;
  void RequireRank(size_t index, int least, int most, const std::string& wanted) const;
  void RequireFloats(size_t index) const;
  void RequireIntegers(size_t index) const;
  /// 0 <= result < rank, from an axis that may be negative.
  int Axis(int64_t axis, int rank) const;
  /// In [least, most].
  int64_t InRange(const char* field, uint64_t value, uint64_t least, uint64_t most) const;

  /// Parameter PARAMETERS.`suffix`, or the one of another node of these parameters.
  graph::ValueId Parameter(const std::string& suffix, const Shape& shape, graph::Initializer start, bool decay) const;
  /// Input `index` in the place of a parameter, where there is one, else Parameter.
  graph::ValueId ParameterOrInput(size_t index, const std::string& suffix, const Shape& shape, graph::Initializer start,
                                  bool decay) const;

  /// An op that is named like the node, or, with a suffix, a part of it.
  std::vector<graph::ValueId> Emit(graph::OpKind kind, std::vector<graph::ValueId> inputs,
                                   graph::Attributes attributes = graph::NoAttributes{},
                                   const std::string& suffix = "") const;
  graph::ValueId Reshape(graph::ValueId x, const Shape& shape, const std::string& suffix = "/reshape") const;
  /// Dimension i of the result is dimension order[i] of x.
  graph::ValueId Transpose(graph::ValueId x, const std::vector<int>& order,
                           const std::string& suffix = "/transpose") const;
  /// Images and sequences, as the recipe has them, to [batch, height, width, channels] (a sequence has a height of 1)
  /// and back to `rank` dimensions.
  graph::ValueId ToImage(size_t index) const;
  graph::ValueId FromImage(graph::ValueId x, int rank) const;
  /// The axis of channels.
  int ChannelAxis(int rank) const { return context_.channels_first ? 1 : rank - 1; }

 private:
  const GraphContext& context_;
  const Node& node_;
  const std::string name_, parameters_;
  const std::vector<graph::ValueId> inputs_;
  const std::vector<std::string> input_names_;
};

/// Each kind of node is in one of these families, which tell by an empty result that it isn't theirs; else the node's
/// results.
std::vector<graph::ValueId> BuildLayerNode(const NodeBuild& node);
std::vector<graph::ValueId> BuildNormNode(const NodeBuild& node);
std::vector<graph::ValueId> BuildSequenceNode(const NodeBuild& node);
std::vector<graph::ValueId> BuildArithmeticNode(const NodeBuild& node);
std::vector<graph::ValueId> BuildReductionNode(const NodeBuild& node);
std::vector<graph::ValueId> BuildMovementNode(const NodeBuild& node);

}  // namespace lockstep::models
