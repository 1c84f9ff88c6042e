// From an ONNX graph to a recipe's: what rules for single operators (the other sources of this folder) share.
// Conversion goes node by node in the file's order; what depends on weights alone is converted when it is wanted.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trainer/models/graph.pb.h"
#include "trainer/onnx/graph_view.h"
#include "trainer/onnx/import_result.h"

namespace lockstep::onnx {

class Conversion;

/// A node on its way, with what is known of it at both sizes of the batch.
class OpNode {
 public:
  OpNode(const GraphView& view, const NodeProto& node)
      : node_(&node), steps_{view.StepOf(node, 0), view.StepOf(node, 1)} {}

  const NodeProto& proto() const { return *node_; }
  const std::string& op() const { return node_->op_type(); }
  const Attributes& attributes() const { return steps_[0].attributes; }
  const Step& step(int which = 0) const { return steps_[which]; }
  bool Has(size_t input) const { return steps_[0].Has(input); }
  size_t inputs() const { return static_cast<size_t>(node_->input_size()); }
  const std::string& input(size_t index) const { return node_->input(static_cast<int>(index)); }
  const std::string& output(size_t index = 0) const { return node_->output(static_cast<int>(index)); }
  const Dims& input_dims(size_t index) const { return steps_[0].DimsOf(index); }
  const Dims& output_dims(size_t index = 0) const { return steps_[0].outputs.at(index).dims; }
  int rank(size_t index = 0) const { return steps_[0].In(index).rank(); }
  int input_type(size_t index) const { return steps_[0].In(index).type; }
  int output_type() const { return steps_[0].outputs.at(0).type; }

  /// What `read` makes of the node, which must not depend on the size of the batch. Throws Unsupported where it does.
  template <typename Read>
  auto Agreed(const Read& read) const {
    auto result = read(steps_[0]);
    if (result != read(steps_[1])) throw Unsupported("what it does depends on the size of the batch");
    return result;
  }

 private:
  const NodeProto* node_;
  const Step steps_[2];
};

/// What nodes call a value, and whether it holds integers there (else floats, also for truth values).
struct Ref {
  std::string name;
  bool integers = false;
};

class Conversion {
 public:
  explicit Conversion(const GraphView& view);

  /// Throws Error(kUsage) with all that is not supported.
  ImportResult Run();

  const GraphView& view() const { return view_; }

  // Of values of the file:
  /// A number that all its elements are, the same at any size of the batch.
  std::optional<double> Uniform(const std::string& value) const;
  /// The same, where taking a number in its place leaves the shape `result` as it is.
  std::optional<double> Number(const std::string& value, const Dims& result) const;
  /// Values that are constant, and the same at any size of the batch; else nullptr.
  const Tensor* Constant(const std::string& value) const;
  /// Its shape, with -1 for the batch or a multiple of it. Throws Unsupported where there are two such.
  Dims OpenShape(const std::string& value) const;
  Dims OpenShape(const Dims& first, const Dims& second) const;
  /// What nodes call it: makes nodes of parameters and constants where they are wanted first. Throws Unsupported.
  Ref Value(const std::string& value);
  std::string Floats(const std::string& value);
  std::string Integers(const std::string& value);
  /// As Floats, but what is the same for every sample may stay one row: for operators that broadcast.
  std::string FloatsToBroadcast(const std::string& value);
  /// Of a constant that is the same for every sample: its values for one, without the batch.
  std::optional<Tensor> OneSample(const std::string& value) const;

  // Nodes:
  /// Appends a node, named `name` or something like it that is free; its name.
  std::string Emit(models::Node node, const std::string& name);
  /// The node of that name; nullptr: it is an input, a parameter or a further result.
  const models::Node* Emitted(const std::string& name) const;
  models::Node* Emitted(const std::string& name);
  /// The name for a node that an operator becomes: its module's, or with `kind` behind it.
  std::string NameFor(const OpNode& node, const std::string& kind) const;
  void Bind(const std::string& value, Ref ref) { refs_[value] = std::move(ref); }
  bool IsBound(const std::string& value) const { return refs_.contains(value); }
  /// A node whose results are bound already, since a node before took it up.
  void MarkDone(const NodeProto& node) { done_.insert(&node); }

  // Weights:
  /// Stores the values of a parameter or buffer that nodes make; once for each name.
  void Store(const std::string& name, const Dims& dims, std::vector<float> values);
  /// Stores an initializer's under `name`; `turned`: a matrix, whose rows become columns.
  void StoreParameter(const std::string& initializer, const std::string& name, bool turned);
  void CountParameter(const Dims& dims);
  /// Makes nodes' parameter or buffer of a constant.
  Ref ConstantValue(const std::string& value, const std::string& name);
  std::string EmitBuffer(const std::string& name, Dims dims, std::vector<float> values);
  /// A name that neither nodes nor parameters have yet.
  std::string FreeName(const std::string& name);
  /// What initializers are called in the recipe; empty: nothing yet.
  std::map<std::string, std::string>& parameter_names() { return parameter_names_; }
  bool HasStored(const std::string& name) const { return stored_.contains(name); }

  ImportCounts& counts() { return result_.counts; }

 private:
  void AddInputs();
  void RemoveUnread();
  void AddOutputs();
  void ConvertNode(const NodeProto& node);
  [[noreturn]] void ThrowUnsupported() const;
  void CountModules();

  const GraphView& view_;
  ImportResult result_;
  std::map<std::string, Ref> refs_;
  std::map<std::string, std::string> rows_;   ///< of constants that are the same for every sample
  std::map<std::string, std::string> casts_;  ///< of refs to the other type
  std::set<const NodeProto*> done_;
  std::set<std::string> names_, stored_;
  std::map<std::string, int> places_;  ///< of emitted nodes in the graph
  std::map<std::string, std::string> parameter_names_;
  std::map<std::string, std::set<std::string>> ops_of_module_;
  std::set<std::string> parents_of_modules_;
  std::vector<Refusal> refused_;
  int depth_ = 0;  ///< of weights that are made of weights, while they are converted
};

/// Rules of conversion: each binds the node's results. Throws Unsupported.
using ConvertRule = void (*)(Conversion& to, const OpNode& node);
using ConvertRules = std::map<std::string, ConvertRule>;
ConvertRules ElementwiseConversions();
ConvertRules MovementConversions();
ConvertRules LookupConversions();
ConvertRules ReductionConversions();
ConvertRules ProductConversions();
ConvertRules WindowConversions();
ConvertRules ResizeConversions();
ConvertRules NormConversions();
ConvertRules GroupNormConversions();
ConvertRules RecurrentConversions();
ConvertRules RandomConversions();

}  // namespace lockstep::onnx
